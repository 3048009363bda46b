// Play the recording that the page names. Without this script the page shows its text.
const place = document.querySelector("#player");
AsciinemaPlayer.create(place.dataset.cast, place, {
  autoPlay: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  controls: true,
  fit: "width",
  idleTimeLimit: 2,
  terminalFontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace",
});
