"""Sources of facts about addresses."""
