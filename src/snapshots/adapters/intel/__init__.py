"""Where facts about addresses come from."""
