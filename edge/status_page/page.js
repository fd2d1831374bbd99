// Reads /status.json every second and shows it. Text is set as text, never as markup: a status is no document.
"use strict";

const EVERY_MS = 1000;
const SVG = "http://www.w3.org/2000/svg";
const GOOD_VERDICTS = new Set(["accepted", "duplicate"]);
const CLOCKS = ["not known", "NTP", "GNSS", "nothing"];
const HELD_BACK = ["too little voltage", "speed capped", "throttled", "soft heat limit"];

const find = (id) => document.getElementById(id);
const count = (number) => Math.round(number).toLocaleString("en");
const known = (value) => value !== null && value !== undefined;

function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  for (const [size, unit, part, smaller] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (seconds >= size) {
      const rest = Math.floor((seconds % size) / part);
      return rest ? `${Math.floor(seconds / size)} ${unit} ${rest} ${smaller}` : `${Math.floor(seconds / size)} ${unit}`;
    }
  }
  return `${seconds} s`;
}

function bytes(number) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (number >= size) return `${(number / size).toFixed(1)} ${unit}`;
  }
  return `${number} B`;
}

function element(name, words, attributes = {}) {
  const made = document.createElement(name);
  if (known(words)) made.textContent = words;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// figures: [mark, name, value, note, tone]; those without a value are left out.
function showFigures(id, figures) {
  find(id).replaceChildren(
    ...figures.filter(([, , value]) => known(value)).map(([mark, name, value, note, tone]) => {
      const box = element("div", null, { "data-figure": mark });
      box.append(element("dt", name, { class: "soft small" }));
      box.append(element("dd", value, { class: "value", "data-tone": tone ?? "plain" }));
      if (note) box.append(element("dd", note, { class: "soft small" }));
      return box;
    }),
  );
}

function say(id, words, tone) {
  const place = find(id);
  place.hidden = !words;
  place.textContent = words || "";
  if (tone) place.dataset.tone = tone;
}

function showPill(words, tone) {
  find("live").textContent = words;
  find("pill").dataset.tone = tone;
}

function showAdoption(said) {
  const { code, has_picture: hasPicture, is_adopted: isAdopted } = said.adoption;
  find("adopt").hidden = isAdopted || !(code || hasPicture);
  say("code", code);
  const picture = find("picture");
  if (hasPicture && picture.hidden) picture.src = "/adoption.svg";
  picture.hidden = !hasPicture;
}

function showHour(minutes) {
  const most = Math.max(1, ...minutes.map(([, tracks]) => tracks));
  const width = 600 / minutes.length;
  find("hour").replaceChildren(
    ...minutes.map(([, tracks], index) => {
      const height = tracks === 0 ? 0 : Math.max(3, (92 * tracks) / most);
      const bar = drawn("rect", { x: index * width + 1, y: 96 - height, width: width - 2, height, rx: 1.5 });
      if (index === minutes.length - 1) bar.setAttribute("class", "now");
      return bar;
    }),
  );
  const all = minutes.reduce((sum, [, tracks]) => sum + tracks, 0);
  find("hour-words").textContent = all ? `${count(all)} in all, at most ${count(most)} in one minute` : "nothing yet";
}

function showSeen(status, minutes) {
  const [, tracks, people] = minutes[minutes.length - 2] ?? [0, 0, 0];
  const latency = known(status.inference_p50_us)
    ? `${(status.inference_p50_us / 1000).toFixed(1)} ms`
    : status.inference_ms_mean ? `${status.inference_ms_mean.toFixed(1)} ms` : null;
  const late = known(status.inference_p95_us) ? `95 % within ${(status.inference_p95_us / 1000).toFixed(1)} ms` : "each";
  showFigures("figures", [
    ["fps", "Looks at", known(status.fps) ? status.fps.toFixed(1) : null, "pictures a second"],
    ["tracks", "Objects", count(status.tracks), `${count(tracks)} in the last minute`],
    ["people", "People", count(status.people), `${count(people)} in the last minute`],
    ["latency", "The model takes", latency, [late, status.provider?.replace("ExecutionProvider", "")].filter(Boolean).join(", ")],
  ]);
  showHour(minutes);
}

function showSent(status, nowMs) {
  const hub = status.is_connected ? (status.is_enrolled ? "connected to the hub, enrolled" : "connected to the hub") : "no connection to the hub";
  find("hub").textContent = status.hubs.length > 1
    ? `${status.hubs.filter((each) => each.is_connected).length} of ${status.hubs.length} hubs connected`
    : hub;
  const last = status.last_signed;
  find("last").textContent = last
    ? `Number ${count(last.sequence)}, ${span(nowMs - last.signed_at_ms)} ago${last.says ? `: ${last.says}` : ""}`
    : status.envelopes_signed ? `${count(status.envelopes_signed)} envelopes signed since the start` : "Nothing signed yet";
  const receipts = Object.entries(status.receipts);
  const most = Math.max(1, ...receipts.map(([, number]) => number));
  find("receipts").replaceChildren(
    ...receipts.map(([verdict, number]) => {
      const line = element("li", null, { "data-verdict": verdict, "data-tone": GOOD_VERDICTS.has(verdict) ? "good" : "bad" });
      const name = verdict.replaceAll("_", " ");
      const chart = drawn("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
      chart.append(drawn("rect", { class: "ground", width: 100, height: 8 }));
      chart.append(drawn("rect", { class: "filled", width: Math.max(1, 100 * Math.sqrt(number / most)), height: 8 }));
      line.append(element("span", name.charAt(0).toUpperCase() + name.slice(1)), chart, element("span", count(number), { class: "number" }));
      return line;
    }),
  );
  const classes = Object.entries(status.outbox_classes).filter(([, number]) => number).map(([name, number]) => `${count(number)} ${name}`);
  const waits = status.outbox_envelopes;
  showFigures("outbox", [
    ["signed", "Signed", count(status.envelopes_signed), "envelopes since the start"],
    ["waiting", "Without a receipt", count(waits), classes.join(", ") || (waits ? bytes(status.outbox_bytes) : "all delivered"), waits > 1000 ? "warn" : "plain"],
    ["oldest", "The oldest waits", waits && known(status.outbox_oldest_ms) ? span(status.outbox_oldest_ms) : null],
    ["refused", "Refused by the hub", status.outbox_refused ? count(status.outbox_refused) : null, "see `cairn-edge doctor`", "bad"],
    ["gaps", "Gaps", known(status.gaps) ? count(status.gaps) : null, status.gaps ? "told to the hub, not hidden" : "nothing was given up", status.gaps ? "warn" : "plain"],
  ]);
}

function showHealth(status, nowMs) {
  const health = status.health;
  const bits = health.throttled_bits;
  const now = known(bits) ? HELD_BACK.filter((_, bit) => bits & (1 << bit)) : [];
  const before = known(bits) && bits >> 16 & 0xf;
  const resident = status.processes.reduce((sum, each) => sum + (each.rss_kib ?? 0), 0) || health.rss_kib || status.peak_rss_kib;
  const heat = health.soc_mdegc;
  const wear = health.disk_wear_ppm;
  const clock = CLOCKS[health.clock_source];
  showFigures("health", [
    ["heat", "Temperature", known(heat) ? `${(heat / 1000).toFixed(1)} °C` : null, null, heat >= 80000 ? "bad" : heat >= 70000 ? "warn" : "good"],
    ["power", "Power", known(bits) ? (now.length ? "held back" : "well") : null, now.join(", ") || (before ? "was held back since the start" : null), now.length ? "bad" : before ? "warn" : "good"],
    ["clock", "Clock follows", clock ?? null, known(health.clock_offset_ms) ? `${Math.abs(health.clock_offset_ms)} ms ${health.clock_offset_ms < 0 ? "behind" : "ahead of"} the hub` : null, clock === "nothing" ? "warn" : "plain"],
    ["disk", "Disk free", known(health.disk_free_mib) ? bytes(health.disk_free_mib * 2 ** 20) : null, known(status.disk_writes_per_h) ? `${count(status.disk_writes_per_h)} writes an hour` : null, health.disk_free_mib < 100 ? "bad" : "plain"],
    ["wear", "Disk used up", known(wear) ? `${Math.floor(wear / 10000)} %` : null, "of its promised life", wear > 800000 ? "bad" : "plain"],
    ["memory", "Memory", resident ? bytes(resident * 1024) : null, "all processes together"],
    ["gnss", "Satellites", known(health.gnss_satellites) ? count(health.gnss_satellites) : null, known(health.gnss_fix) ? `${["no fix", "no fix", "2D fix", "3D fix"][health.gnss_fix]}` : null],
    ["uptime", "At work for", known(status.started_at_ms) ? span(nowMs - status.started_at_ms) : null, known(status.boot) ? `start ${count(status.boot)}` : null],
    ["pictures", "Debug pictures", status.debug_pictures ? count(status.debug_pictures) : null, "blurred; the health record says so", "warn"],
  ]);
  say("reason", status.max_fps_reason, "warn");
}

function showProcesses(processes) {
  find("parts").hidden = processes.length === 0;
  find("processes").replaceChildren(
    ...processes.map((each) => {
      const row = element("tr", null, { "data-process": each.name });
      row.append(
        element("td", each.name),
        element("td", count(each.restarts), { class: "number" }),
        element("td", known(each.rss_kib) ? bytes(each.rss_kib * 1024) : "–", { class: "number" }),
        element("td", each.is_running ? "at work" : "down", each.is_running ? {} : { class: "value", "data-tone": "bad" }),
      );
      return row;
    }),
  );
}

function show(said) {
  const status = said.status;
  showAdoption(said);
  if (said.is_closing) say("alarm", "This device has an owner now. This page closes in a minute; `cairn-edge status` shows the same.", "good");
  else say("alarm", status?.trouble, "bad");
  if (!status) {
    showPill("no status yet", "warn");
    if (!said.is_closing) say("alarm", "The agent has not said anything yet: start it with `cairn-edge run`.", "warn");
    return;
  }
  const silentMs = said.now_ms - (status.updated_at_ms ?? said.now_ms);
  if (said.is_at_work) showPill("at work", status.trouble ? "bad" : "good");
  else if (status.is_running) showPill(`silent for ${span(silentMs)}`, "bad");
  else showPill(`stopped ${span(silentMs)} ago`, "warn");
  const name = (status.device ?? "").replace("did:key:", "");
  const short = name.length > 16 ? `${name.slice(0, 8)}…${name.slice(-6)}` : name;
  find("who").textContent = [short, status.network, status.model, status.release && `release ${status.release}`].filter(Boolean).join(" · ");
  find("who").title = status.device ?? "";
  showSeen(status, said.minutes);
  showSent(status, said.now_ms);
  showHealth(status, said.now_ms);
  showProcesses(status.processes);
}

async function ask() {
  try {
    const answer = await fetch("/status.json", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
  } catch {
    showPill("not answering", "warn");
    say("alarm", "This page has lost its device: it is off, restarting, or has an owner now.", "warn");
  }
  setTimeout(ask, EVERY_MS);
}

ask();
