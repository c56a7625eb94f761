"use strict";
// What others wrote (names) gets into the page as text alone: textContent and setAttribute.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const FOLDED_ABOVE = 60;
  const LABELS = 80;
  const ROWS = 300;
  const BOX = { width: 170, height: 34, across: 64, down: 44, pad: 16, title: 26 };

  const map = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const ends = new Map();
  map.workloads.forEach((one) => ends.set(one.id, { ...one, full: `${one.namespace}/${one.name}` }));
  map.outside.forEach((one) => ends.set(one.id, { ...one, outside: true, namespace: null, full: one.name }));
  // What is used beside the ways: as anybody may, or although policies do not allow it now.
  const beside = (uses, mark) => uses.map(({ from, to, port, connections, last }) =>
    ({ from, to, ports: [port], egress: [], ingress: [], used: { connections, last, ports: [port] }, ...mark }));
  const all = [...map.edges, ...(map.usage ? [...beside(map.usage.others, { anybody: true }), ...beside(map.usage.refused, { refused: true })] : [])];
  const outgoing = group(all, (way) => way.from);
  const incoming = group(all, (way) => way.to);
  const byName = new Intl.Collator("en", { numeric: true }).compare;
  const namespaces = [...new Set(map.workloads.map((one) => one.namespace))].sort(byName);
  const unfolded = new Set();
  let many = false; // Whether more workloads are shown than are drawn one by one: then namespaces are folded.
  let chosen = null; // The key of a node.
  let nodes = new Map(); // By key: what is drawn now.
  let rows = ROWS;

  function group(all, key) {
    const groups = new Map();
    all.forEach((one) => groups.has(key(one)) ? groups.get(key(one)).push(one) : groups.set(key(one), [one]));
    return groups;
  }
  function make(name, attributes, ...children) {
    const element = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...children);
    return element;
  }
  function draw(name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    if (text !== undefined) element.textContent = text;
    return element;
  }
  const shorten = (text, most) => text.length <= most ? text : text.slice(0, most - 1) + "…";
  const said = (ports) => ports.length ? ports.join(", ") : "nothing";
  const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
  const few = (ports) => ports.length > 3 ? `${ports.slice(0, 3).join(", ")} +${ports.length - 3}` : said(ports);

  // Filters.
  function wanted() {
    const [typed, protocol, port] = at("port").value.trim().match(/^(tcp|udp|sctp)?[\s/]*(\d*)$/i) || [];
    const valid = typed !== undefined && Number(port) <= 65535;
    at("port").setAttribute("aria-invalid", String(!valid));
    return {
      text: at("search").value.trim().toLowerCase(),
      namespace: at("namespace").value,
      open: at("unisolated").checked,
      usage: at("usage").value,
      valid,
      protocol: valid && protocol ? protocol.toUpperCase() : null,
      port: valid && port ? Number(port) : null,
    };
  }
  function holds(ports, { protocol, port }) {
    if (protocol === null && port === null) return true;
    return ports.some((one) => {
      if (one === "all ports") return true;
      const [, of, first, last] = one.match(/^(\S+)(?: (\d+)(?:-(\d+))?)?$/) || [];
      if (!["TCP", "UDP", "SCTP"].includes(of) || (protocol !== null && of !== protocol)) return false;
      return port === null || first === undefined || (Number(first) <= port && port <= Number(last ?? first));
    });
  }
  const judging = (end) => end.outside ? [] : [...end.ingress.policies, ...end.egress.policies];
  function shows(end, filter) {
    if (filter.namespace && end.namespace !== filter.namespace) return false;
    if (filter.open && (end.outside || !(end.ingress.open || end.egress.open))) return false;
    return !filter.text || [end.full, ...judging(end)].some((one) => one.toLowerCase().includes(filter.text));
  }
  // A way is shown where one of its ends is asked for.
  function shownWays(filter) {
    const meant = filter.text || filter.namespace || filter.open;
    const is = (id) => ends.has(id) && shows(ends.get(id), filter);
    return all.filter((way) => (!meant || is(way.from) || is(way.to)) && (!filter.usage || usage(way) === filter.usage) &&
      (holds(way.ports, filter) || (way.ports.length === 0 && filter.port === null && filter.protocol === null)));
  }

  // `used`, `unused`, `refused`; null where nothing passes, or nothing is known.
  function usage(way) {
    if (way.refused) return "refused";
    if (!way.used || way.ports.length === 0) return null;
    return way.used.connections ? "used" : "unused";
  }
  function seen(way) {
    if (!usage(way)) return "";
    if (usage(way) === "unused") return "not used";
    return `${way.refused ? "not allowed now; " : ""}×${way.used.connections} at ${said(way.used.ports)}, last ${way.used.last.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC")}`;
  }

  // The picture.
  const folded = (namespace) => many && !unfolded.has(namespace);
  const key = (id) => {
    const end = ends.get(id);
    return end.outside || !folded(end.namespace) ? `w${id}` : `n${end.namespace}`;
  };
  function state(workloads) {
    const open = workloads.filter((one) => one.ingress.open && one.egress.open).length;
    const half = workloads.filter((one) => one.ingress.open !== one.egress.open).length;
    return open ? "open" : half ? "half" : "judged";
  }
  const isOpen = (workloads) => workloads.filter((one) => one.ingress.open || one.egress.open).length;
  function direction(end) {
    if (end.open) return "open";
    const by = end.policies.length > 3 ? `${end.policies.slice(0, 3).join(", ")} and ${end.policies.length - 3} more` : end.policies.join(", ");
    return `${end.isolated ? "isolated" : "judged"} by ${by}`;
  }
  function render() {
    const filter = wanted();
    const ways = shownWays(filter);
    const touched = new Set(ways.flatMap((way) => [way.from, way.to]));
    // Who asks for some ways does not look for who has none.
    const some = filter.usage || filter.port !== null || filter.protocol !== null;
    const visible = [...ends.values()].filter((end) => touched.has(end.id) || (!end.outside && !some && shows(end, filter)));
    many = visible.filter((end) => !end.outside).length > FOLDED_ABOVE;
    nodes = new Map();
    const areas = layout(visible);
    paint(areas, ways);
    tables(visible, ways);
    summarize(visible, ways, filter);
    details();
  }
  // Areas in rows, nodes in each in a square; who is outside comes last.
  function layout(visible) {
    const areas = [];
    const shown = group(visible.filter((end) => !end.outside), (end) => end.namespace);
    for (const namespace of [...shown.keys()].sort(byName)) {
      const workloads = shown.get(namespace);
      const isFolded = folded(namespace);
      const node = { key: `n${namespace}`, name: `${namespace} (${workloads.length})`, kind: state(workloads), folded: isFolded, namespace, workloads };
      areas.push({ namespace, folded: isFolded, nodes: isFolded ? [node] : workloads.map((end) => ({ key: `w${end.id}`, name: end.name, kind: state([end]), end })) });
    }
    const outside = visible.filter((end) => end.outside);
    if (outside.length) areas.push({ namespace: null, folded: false, nodes: outside.map((end) => ({ key: `w${end.id}`, name: end.full, kind: "outside", end })) });
    const drawn = areas.reduce((sum, area) => sum + area.nodes.length, 0);
    const width = Math.max(at("scroller").clientWidth - 4, Math.sqrt(drawn) * 260);
    let x = BOX.pad, y = BOX.pad, high = 0;
    for (const area of areas) {
      const columns = Math.max(1, Math.ceil(Math.sqrt(area.nodes.length / 1.6)));
      const lines = Math.ceil(area.nodes.length / columns);
      area.width = columns * (BOX.width + BOX.across) - BOX.across + 2 * BOX.pad;
      area.height = BOX.title + lines * (BOX.height + BOX.down) - BOX.down + 2 * BOX.pad;
      if (x > BOX.pad && x + area.width > width) { x = BOX.pad; y += high + BOX.down; high = 0; }
      Object.assign(area, { x, y });
      area.nodes.forEach((node, index) => {
        node.x = x + BOX.pad + (index % columns) * (BOX.width + BOX.across);
        node.y = y + BOX.pad + BOX.title + Math.floor(index / columns) * (BOX.height + BOX.down);
        nodes.set(node.key, node);
      });
      x += area.width + BOX.across;
      high = Math.max(high, area.height);
    }
    return areas;
  }
  // Ways between the same two nodes are one line.
  function lines(ways) {
    const lines = new Map();
    for (const way of ways) {
      const [from, to] = [key(way.from), key(way.to)];
      if (!nodes.has(from) || !nodes.has(to)) continue;
      const pair = JSON.stringify([from, to]);
      const line = lines.get(pair) || { from, to, ports: new Set(), passes: false, used: null, count: 0 };
      way.ports.forEach((port) => line.ports.add(port));
      line.passes ||= way.ports.length > 0;
      const states = ["unused", "used", "refused"];
      if (states.indexOf(usage(way)) > states.indexOf(line.used)) line.used = usage(way);
      line.count += 1;
      lines.set(pair, line);
    }
    return [...lines.values()];
  }
  function curve(from, to) {
    const middle = (node) => ({ x: node.x + BOX.width / 2, y: node.y + BOX.height / 2 });
    if (from === to) {
      const [x, y] = [from.x + BOX.width, from.y + BOX.height / 2];
      return { path: `M${x - 12},${from.y} C${x - 6},${y - 48} ${x + 36},${y - 24} ${x},${y}`, x: x + 6, y: from.y - 12 };
    }
    const [a, b] = [middle(from), middle(to)];
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const length = Math.hypot(dx, dy) || 1;
    const bend = { x: (a.x + b.x) / 2 - dy / length * Math.min(60, length / 6), y: (a.y + b.y) / 2 + dx / length * Math.min(60, length / 6) };
    const edge = (inner, other) => {
      const [ex, ey] = [other.x - inner.x, other.y - inner.y];
      const part = Math.min(BOX.width / 2 / Math.max(Math.abs(ex), 1e-6), (BOX.height / 2 + 2) / Math.max(Math.abs(ey), 1e-6));
      return { x: inner.x + ex * part, y: inner.y + ey * part };
    };
    const [start, end] = [edge(a, bend), edge(b, bend)];
    return { path: `M${start.x},${start.y} Q${bend.x},${bend.y} ${end.x},${end.y}`, x: (start.x + 2 * bend.x + end.x) / 4, y: (start.y + 2 * bend.y + end.y) / 4 };
  }
  function paint(areas, ways) {
    const picture = at("picture");
    const held = document.activeElement?.getAttribute?.("data-key");
    picture.replaceChildren();
    const width = Math.max(600, ...areas.map((area) => area.x + area.width + BOX.pad));
    const height = Math.max(120, ...areas.map((area) => area.y + area.height + BOX.pad));
    picture.setAttribute("width", width);
    picture.setAttribute("height", height);
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const defs = draw("defs", {});
    const marker = draw("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
    marker.append(draw("path", { id: "tip", d: "M0,0 L8,4 L0,8 z" }));
    defs.append(marker);
    picture.append(defs);
    for (const area of areas) {
      picture.append(draw("rect", { class: "area", "data-namespace": area.namespace ?? "", x: area.x, y: area.y, width: area.width, height: area.height, rx: 8 }));
      const title = draw("text", { class: "title", x: area.x + BOX.pad, y: area.y + 24 }, shorten(area.namespace ?? "outside", Math.floor(area.width / 8)));
      title.append(draw("title", {}, area.namespace ?? "addresses that are no pod's"));
      if (area.namespace !== null && !area.folded && many) {
        title.setAttribute("style", "cursor: pointer; text-decoration: underline");
        title.addEventListener("click", () => fold(area.namespace));
      }
      picture.append(title);
    }
    const drawn = lines(ways);
    const near = new Set([chosen]);
    drawn.forEach((line) => { if (line.from === chosen) near.add(line.to); if (line.to === chosen) near.add(line.from); });
    const some = nodes.has(chosen);
    for (const line of drawn) {
      const mine = some && (line.from === chosen || line.to === chosen);
      const { path, x, y } = curve(nodes.get(line.from), nodes.get(line.to));
      const kind = `way${line.passes ? "" : " denied"}${line.used ? " " + line.used : ""}${mine ? " chosen" : some ? " dim" : ""}`;
      const between = { "data-from": line.from, "data-to": line.to };
      picture.append(draw("path", { class: kind, d: path, ...between, "marker-end": "url(#arrow)", "aria-hidden": "true" }));
      if (mine || (!some && drawn.length <= LABELS && line.from !== line.to)) {
        picture.append(draw("text", { class: "label", x, y, "aria-hidden": "true" }, line.passes ? few([...line.ports]) : "denied"));
      }
    }
    for (const node of nodes.values()) picture.append(box(node, some && !near.has(node.key)));
    const first = nodes.has(chosen) ? chosen : nodes.keys().next().value;
    if (first !== undefined) element(nodes.has(held) ? held : first).setAttribute("tabindex", "0");
    if (nodes.has(held)) element(held).focus();
  }
  const element = (key) => nodes.get(key).element;
  function box(node, dim) {
    const told = node.folded ? `namespace ${node.namespace}, ${counted(node.workloads.length, "workload")}, ${isOpen(node.workloads)} open in some direction, folded; Enter unfolds` :
      node.end.outside ? `outside: ${node.end.full}` :
      `${node.end.full}, ${counted(node.end.pods, "pod")}; ingress ${direction(node.end.ingress)}; egress ${direction(node.end.egress)}`;
    const classes = `node ${node.kind}${node.key === chosen ? " chosen" : ""}${dim ? " dim" : ""}`;
    const box = draw("g", { class: classes, role: "button", tabindex: "-1", "data-key": node.key, "aria-label": told });
    if (node.folded) box.setAttribute("aria-expanded", "false");
    else box.setAttribute("aria-pressed", String(node.key === chosen));
    box.append(draw("title", {}, told));
    box.append(draw("rect", { x: node.x, y: node.y, width: BOX.width, height: BOX.height, rx: node.kind === "outside" ? 17 : 5 }));
    box.append(draw("text", { x: node.x + BOX.width / 2, y: node.y + BOX.height / 2 + 4, "text-anchor": "middle" }, shorten(node.name, 24)));
    box.addEventListener("click", () => act(node));
    box.addEventListener("keydown", (event) => typed(event, node));
    node.element = box;
    return box;
  }
  function act(node) {
    if (node.folded) return fold(node.namespace);
    chosen = chosen === node.key ? null : node.key;
    render();
  }
  function fold(namespace) {
    const was = unfolded.delete(namespace);
    if (!was) unfolded.add(namespace);
    render();
    const next = was ? nodes.get(`n${namespace}`) : [...nodes.values()].find((node) => node.end?.namespace === namespace);
    next?.element.focus();
  }
  function typed(event, node) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Enter" || event.key === " ") act(node);
    else if (event.key === "Escape") { chosen = null; render(); }
    else if (event.key === "Backspace" && node.end && !node.end.outside && many) fold(node.end.namespace);
    else if (steps[event.key]) move(node, steps[event.key]);
    else return;
    event.preventDefault();
  }
  // To the nearest node in that direction.
  function move(node, [sx, sy]) {
    let best = null, least = Infinity;
    for (const other of nodes.values()) {
      const along = (other.x - node.x) * sx + (other.y - node.y) * sy;
      const aside = Math.abs((other.x - node.x) * sy) + Math.abs((other.y - node.y) * sx);
      if (other !== node && along > 0 && along + 3 * aside < least) { best = other; least = along + 3 * aside; }
    }
    if (!best) return;
    node.element.setAttribute("tabindex", "-1");
    best.element.setAttribute("tabindex", "0");
    best.element.focus();
    best.element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  function choose(id) {
    const end = ends.get(id);
    if (!end.outside) unfolded.add(end.namespace);
    chosen = `w${id}`;
    render();
    if (!nodes.has(chosen)) { at("filters").reset(); render(); }
    nodes.get(chosen)?.element.focus();
  }

  // Details of the chosen workload.
  function details() {
    const panel = at("details");
    const end = chosen?.startsWith("w") ? ends.get(Number(chosen.slice(1))) : null;
    if (!end) return panel.replaceChildren(make("p", {}, "Select a workload to see who reaches it, whom it reaches, and why."));
    panel.replaceChildren(make("h2", {}, end.full));
    if (end.outside) panel.append(make("p", {}, end.named ? end.blocks.slice(0, 20).join(", ") : "All addresses that are no pod's and that no rule names."));
    else panel.append(make("p", {}, `${counted(end.pods, "pod")} with addresses`));
    panel.append(...ways(end, "ingress", incoming.get(end.id) || [], "Who reaches it", (way) => way.from));
    panel.append(...ways(end, "egress", outgoing.get(end.id) || [], "Whom it reaches", (way) => way.to));
  }
  function ways(end, side, all, title, peer) {
    const parts = [make("h3", {}, title)];
    if (!end.outside) {
      parts.push(make("p", { class: "rules" }, `${side}: ${direction(end[side])}`));
      parts.push(make("p", {}, general(end, side)));
    }
    const list = make("ul", {});
    for (const way of all.slice(0, ROWS)) {
      const other = ends.get(peer(way));
      if (!other) continue;
      const button = make("button", { type: "button", class: "link" }, other.full);
      button.addEventListener("click", () => choose(other.id));
      const item = make("li", {}, button, way.ports.length ? ` at ${said(way.ports)}` : ": nothing passes");
      if (seen(way)) item.append(make("div", { class: way.refused ? "rules refused" : "rules" }, seen(way)));
      if (way.between_all) item.append(make("div", { class: "rules" }, `between all of their pods: ${said(way.between_all)}`));
      [...way.egress, ...way.ingress].forEach((rule) => item.append(make("div", { class: "rules" }, told(rule))));
      list.append(item);
    }
    if (all.length > ROWS) list.append(make("li", {}, `and ${all.length - ROWS} more: see the table`));
    parts.push(list);
    return parts;
  }
  const told = (rule) => `${rule.action === "Accept" ? "" : rule.action + ": "}${rule.rule} (${said(rule.ports)})`;
  // What it lets whom no rule names do.
  function general(end, side) {
    const open = map.workloads.filter((one) => one.id !== end.id && one[side === "ingress" ? "egress" : "ingress"].open).length;
    const verb = side === "ingress" ? "may be reached by" : "may reach";
    if (end[side].open) return `It ${verb} everybody that does not forbid it: ${counted(open, "open workload")}, and all outside, at all ports.`;
    const parts = end[side].anybody.flatMap((one) => [["pods", one.pods], ["addresses outside", one.outside]]
      .filter(([, ports]) => ports.length).map(([whom, ports]) => `${one.family}, any ${whom}: ${said(ports)}`));
    return parts.length ? `Beside whom rules name it ${verb} ${parts.join("; ")}.` : `Nobody but whom rules name.`;
  }

  // The tables.
  function tables(visible, ways) {
    const workloads = visible.filter((end) => !end.outside);
    at("workloads").tBodies[0].replaceChildren(...workloads.slice(0, rows).map((end) => {
      const button = make("button", { type: "button", class: "link" }, end.full);
      button.addEventListener("click", () => choose(end.id));
      return make("tr", {}, make("th", { scope: "row" }, button), make("td", {}, String(end.pods)), make("td", {}, direction(end.ingress)), make("td", {}, direction(end.egress)));
    }));
    const name = (id) => ends.get(id)?.full ?? "";
    const rules = (all) => make("td", {}, ...all.map((rule) => make("div", {}, told(rule))));
    at("ways").tBodies[0].replaceChildren(...ways.slice(0, rows).map((way) => make("tr", {},
      make("td", {}, name(way.from)), make("td", {}, name(way.to)), make("td", {}, said(way.ports)), rules(way.egress), rules(way.ingress), ...(map.usage ? [make("td", {}, seen(way))] : []))));
    at("more").hidden = workloads.length <= rows && ways.length <= rows;
  }
  function summarize(visible, ways, filter) {
    const invalid = filter.valid ? "" : `“${at("port").value.trim()}” is no port: a number to 65535, a protocol, or both. `;
    const found = visible.length ? "" : "Nothing matches. ";
    at("summary").textContent = `${invalid}${found}${counted(map.workloads.length, "workload")} in ${counted(namespaces.length, "namespace")}, ` +
      `${isOpen(map.workloads)} open in some direction; ${ways.length} of ${counted(all.length, "way")} shown.` +
      (map.usage ? ` ${counted(count("unused"), "way")} not used; ${count("refused")} used and not allowed now.` : "");
  }

  const count = (state) => all.filter((way) => usage(way) === state).length;
  document.querySelectorAll(".usage").forEach((one) => { one.hidden = !map.usage; });
  namespaces.forEach((one) => at("namespace").append(make("option", { value: one }, one)));
  // Not everything that chooses an option tells of both.
  let filtered = JSON.stringify(wanted());
  ["input", "change"].forEach((event) => at("filters").addEventListener(event, () => {
    const now = JSON.stringify(wanted());
    if (now === filtered) return;
    filtered = now;
    rows = ROWS;
    render();
  }));
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("namespace").addEventListener("change", () => { if (at("namespace").value) unfolded.add(at("namespace").value); render(); });
  at("more").addEventListener("click", () => { rows *= 4; render(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && chosen) { chosen = null; render(); } });
  render();
})();
