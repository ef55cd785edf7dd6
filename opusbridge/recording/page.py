"""The frame of the pages this room makes: one file, no network, readable by day and by night."""

from html import escape

_STYLE = """
:root { color-scheme: light dark;
  --paper: #fbfbfa; --card: #fff; --ink: #1d2530; --soft: #667080; --rule: #dfe3e8; --grid: #eef0f3;
  --caller: #2f6db5; --agent: #2f8a5b; --unheard: #a9632a; --active: #cfe8da; --done: #2f8a5b;
  --cancel: #b7791f; --bad: #c0392b; --wait: #8a63b8; --tool: #34808f; --request: #8793a3; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14181d; --card: #1b2027; --ink: #e4e8ed; --soft: #98a3b1; --rule: #313943;
  --grid: #232a32;
  --caller: #79b0f0; --agent: #6cc795; --unheard: #e0a06a; --active: #24503a; --done: #6cc795;
  --cancel: #e0b060; --bad: #f08578; --wait: #bd9be6; --tool: #6fc0cf; --request: #8793a3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1500px; margin: 0 auto; padding: 28px 28px 60px; }
h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 30px 0 10px; }
p { margin: 4px 0; } .soft { color: var(--soft); }
.badge { display: inline-block; padding: 1px 10px; border-radius: 99px; font-size: 13px;
  border: 1px solid currentColor; vertical-align: 3px; margin-left: 8px; }
.badge.good { color: var(--done); } .badge.bad { color: var(--bad); }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0 14px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 8px;
  padding: 6px 14px; min-width: 92px; }
.tile b { display: block; font-size: 19px; font-variant-numeric: tabular-nums; }
.tile span { font-size: 12px; color: var(--soft); } .tile.bad b { color: var(--bad); }
audio { width: 100%; height: 40px; margin: 4px 0; }
.lanes { overflow-x: auto; background: var(--card); border: 1px solid var(--rule);
  border-radius: 8px; }
.lane { display: flex; width: max-content; min-width: 100%; border-top: 1px solid var(--rule); }
.lane:first-child { border-top: 0; }
.name { position: sticky; left: 0; z-index: 2; width: 108px; flex: none; padding: 5px 10px;
  font-size: 12px; color: var(--soft); background: var(--card);
  border-right: 1px solid var(--rule); }
.field { position: relative; flex: none;
  background: repeating-linear-gradient(to right, var(--grid) 0 1px, transparent 1px var(--tick)); }
.field > * { position: absolute; }
.field svg { left: 0; display: block; }
.wave.caller { fill: var(--caller); } .wave.agent { fill: var(--agent); }
.tick { font-size: 11px; color: var(--soft); padding-left: 4px; top: 3px; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.speech { top: 0; bottom: 0; background: color-mix(in srgb, var(--caller) 12%, transparent); }
.cut { top: 0; bottom: 0; border-left: 2px dashed var(--bad); }
.block { height: 22px; font-size: 12px; line-height: 22px; border-radius: 4px; }
.block > span { display: block; width: max-content; padding: 0 5px; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis; }
.block.caller { background: color-mix(in srgb, var(--caller) 20%, transparent);
  border-left: 3px solid var(--caller); }
.block.agent { background: color-mix(in srgb, var(--agent) 20%, transparent);
  border-left: 3px solid var(--agent); }
.block.other { background: color-mix(in srgb, var(--tool) 20%, transparent);
  border-left: 3px solid var(--tool); }
.unheard { color: var(--unheard); text-decoration: line-through; }
.request, .refused { border: 1px solid var(--request); background: repeating-linear-gradient(
  -45deg, color-mix(in srgb, var(--request) 45%, transparent) 0 3px, transparent 3px 6px); }
.refused { border-color: var(--bad); }
.active { background: var(--active); border: 1px dashed var(--done); }
.completed { background: color-mix(in srgb, var(--done) 32%, transparent); }
.cancelled { background: color-mix(in srgb, var(--cancel) 40%, transparent); }
.failed, .incomplete, .tool-failed, .lost {
  background: color-mix(in srgb, var(--bad) 38%, transparent); }
.wait { background: color-mix(in srgb, var(--wait) 38%, transparent); }
.tool { background: color-mix(in srgb, var(--tool) 32%, transparent); }
.open { border-right: 2px dotted var(--bad); }
.mark { height: 20px; font-size: 12px; line-height: 20px; padding-left: 6px; white-space: nowrap;
  border-left: 2px solid currentColor; }
.mark.before { padding: 0 6px 0 0; text-align: right; border-width: 0 2px 0 0;
  border-right: 2px solid currentColor; }
.mark.caller { color: var(--caller); } .mark.bad { color: var(--bad); }
.mark.good { color: var(--done); } .mark.plain { color: var(--soft); }
.mark.end { color: var(--ink); }
table { border-collapse: collapse; background: var(--card); font-size: 14px; }
th, td { border: 1px solid var(--rule); padding: 4px 12px; text-align: right;
  font-variant-numeric: tabular-nums; }
th { font-weight: 600; font-size: 12px; color: var(--soft); }
.words td { text-align: left; vertical-align: top; } .words td:first-child { text-align: right; }
.words .text { overflow-wrap: anywhere; max-width: 900px; white-space: pre-wrap; }
.bar { display: flex; height: 10px; min-width: 160px; }
.bar i { display: block; } .speech_end_to_commit { background: var(--caller); }
.commit_to_request { background: var(--wait); }
.request_to_first_audio { background: var(--agent); }
.first_audio_to_heard { background: var(--cancel); }
.key { display: inline-block; width: 9px; height: 9px; border-radius: 2px; }
.scroll { overflow-x: auto; }
button { all: unset; border-radius: 3px; }
.audible button { cursor: pointer; text-decoration: underline dotted; }
:focus-visible { outline: 2px solid var(--caller); outline-offset: 1px; }
.heard { top: 0; bottom: 0; background: color-mix(in srgb, var(--agent) 12%, transparent); }
.echo { top: 7px; width: 6px; height: 12px; border-left: 2px solid var(--soft); }
.echo.open { border-color: var(--bad); }
.audible .field, .audible [data-at] { cursor: pointer; }
.head { display: none; top: 0; bottom: 0; width: 2px; background: var(--ink); z-index: 1;
  pointer-events: none; }
@media (max-width: 600px) {
  main { padding: 16px 12px 40px; } .name { width: 76px; padding: 4px 6px; }
  .tiles { gap: 6px; } .tile { padding: 4px 9px; min-width: 72px; } th, td { padding: 3px 7px; } }
.audible .head { display: block; left: calc(var(--at, 0) * 1px); }
"""

#: A click lets it be heard from there; a line shows what is heard.
_SCRIPT = """
const sound = document.querySelector("audio"), lanes = document.querySelector(".lanes");
if (sound && lanes) {
  const perSecond = Number(lanes.dataset.pixelsASecond);
  document.body.classList.add("audible");
  const show = () => lanes.style.setProperty("--at", sound.currentTime * perSecond);
  const inSight = () => {
    const at = sound.currentTime * perSecond, wide = lanes.clientWidth - 120;
    if (at < lanes.scrollLeft || at > lanes.scrollLeft + wide) lanes.scrollLeft = at - wide / 8;
  };
  const follow = () => {
    show(); inSight();
    if (!sound.paused) requestAnimationFrame(follow);
  };
  sound.addEventListener("play", follow);
  sound.addEventListener("seeked", show);
  document.addEventListener("click", (event) => {
    const timed = event.target.closest("[data-at]"), field = event.target.closest(".field");
    if (!timed && !field) return;
    const across = field && (event.clientX - field.getBoundingClientRect().left) / perSecond;
    sound.currentTime = timed ? Number(timed.dataset.at) : Math.max(across, 0);
    sound.play();
  });
  lanes.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way) {
      const last = sound.duration || Infinity, by = way * (event.shiftKey ? 5 : 1);
      sound.currentTime = Math.min(Math.max(sound.currentTime + by, 0), last);
      inSight();
    } else if (event.key === " ") {
      if (sound.paused) sound.play(); else sound.pause();
    } else return;
    event.preventDefault();
  });
}
"""


def page(title: str, body: str) -> str:
    """A whole page; ``title`` is plain text, ``body`` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
