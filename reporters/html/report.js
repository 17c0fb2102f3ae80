(() => {
	"use strict";
	const { packages, tests, gateways, platforms, bars, steps } = report;
	let length = report.length;
	const verdicts = ["pass", "fail", "flaky", "skip", "crash", "not-run"];
	const rows = 500; // of the list at a time: more are slow, and searched for
	const $ = id => document.getElementById(id);
	const id = t => packages[t[0]] + "::" + t[1];
	const took = ms => (ms / 1000).toFixed(2) + " s";
	const element = (name, attributes, text) => {
		const e = document.createElement(name);
		for (const k in attributes) e.setAttribute(k, attributes[k]);
		if (text !== undefined) e.textContent = text;
		return e;
	};

	// What earlier runs saw of each test: a column for each run, the newest on the right.
	const past = new Map(report.past.map(([test, ...seen]) => [test, seen]));
	const before = i => {
		const seen = past.get(i);
		if (!seen) return "";
		const runs = seen.length / 2, told = [];
		const trend = element("span", { class: "trend small", role: "img" });
		let most = 50, failed = 0; // milliseconds: below that it is chance
		for (let r = 0; r < runs; r++) most = Math.max(most, seen[2 * r + 1]);
		for (let r = runs - 1; r >= 0; r--) {
			const verdict = verdicts[seen[2 * r]];
			if (verdict !== "pass" && verdict !== "skip") failed++;
			const column = element("i", { class: verdict });
			column.style.height = `${Math.round(100 * seen[2 * r + 1] / most)}%`;
			told.push(`${verdict} ${took(seen[2 * r + 1])}`);
			trend.append(column);
		}
		trend.title = told.join(", ");
		trend.setAttribute("aria-label", `failed in ${failed} of ${runs} runs before: ${trend.title}`);
		return trend;
	};

	// The list of tests: searched by words that must all be in the id, filtered by verdict, sorted.
	let order = "took", down = true;
	let found = null; // the tests that are searched for, null for all
	const list = () => {
		const words = $("search").value.toLowerCase().split(/\s+/).filter(w => w);
		const wanted = $("filter").value;
		const rowsFound = [];
		tests.forEach((t, i) => {
			if (wanted !== "" && t[2] !== +wanted) return;
			const name = id(t).toLowerCase();
			if (words.every(w => name.includes(w))) rowsFound.push(i);
		});
		found = rowsFound.length < tests.length ? new Set(rowsFound) : null;
		const sign = down ? -1 : 1;
		rowsFound.sort((a, b) => sign * (order === "took" ? tests[a][4] - tests[b][4] : id(tests[a]) < id(tests[b]) ? -1 : 1));
		const body = document.createDocumentFragment();
		for (const i of rowsFound.slice(0, rows)) {
			const t = tests[i], row = element("tr", { "data-test": i });
			row.append(element("td", {}, id(t)), element("td", { class: verdicts[t[2]] }, verdicts[t[2]]), element("td", { class: "number" }, took(t[4])),
				element("td", {}, t[3] < 0 ? "" : gateways[t[3]][0]), element("td", {}, platforms[t[6]] || ""));
			const trend = element("td");
			trend.append(before(i));
			row.append(trend);
			body.append(row);
		}
		$("list").tBodies[0].replaceChildren(body);
		$("count").textContent = rowsFound.length > rows ? `${rows} of ${rowsFound.length} shown` : `${rowsFound.length} of ${tests.length}`;
		const failures = document.querySelectorAll(".failure");
		for (const f of failures) f.hidden = !words.every(w => (f.id + f.querySelector("summary").textContent).toLowerCase().includes(w));
	};

	// The timeline: a lane for each gateway, a bar for each test. Bars that are too short to be seen
	// are joined, so that the number of elements is bounded by the width.
	const lane = 20, left = 130, top = 22;
	let from = 0, span = Math.max(length, 1);
	let critical = new Set();
	// From what ended last back to the beginning, each time to what had ended last before: on the
	// same lane where that is about as late, else on another, which it waited for.
	const findCritical = () => {
		const all = [];
		bars.forEach(([lane, , start, ms], i) => all.push({ key: "b" + i, lane, start, end: start + ms }));
		steps.forEach(([lane, , start, ms], i) => all.push({ key: "s" + i, lane, start, end: start + ms }));
		all.sort((a, b) => a.end - b.end);
		const path = new Set();
		for (let at = all.length - 1; at >= 0;) {
			const { key, lane, start } = all[at];
			path.add(key);
			let low = 0, high = at; // the first that ended after it began
			while (low < high) {
				const middle = (low + high) >> 1;
				if (all[middle].end <= start + 5) low = middle + 1; else high = middle;
			}
			at = low - 1;
			for (let i = at; i >= 0 && all[at].end - all[i].end <= 100; i--) {
				if (all[i].lane === lane) { at = i; break; }
			}
		}
		return path;
	};
	let byLane = [], stepsByLane = [];
	const arrange = () => {
		critical = report.live ? new Set() : findCritical();
		byLane = gateways.map(() => []);
		stepsByLane = gateways.map(() => []);
		steps.forEach((s, i) => stepsByLane[s[0]].push(i));
		bars.forEach((b, i) => { if (b[0] >= 0) byLane[b[0]].push(i); });
		byLane.forEach(l => l.sort((a, b) => bars[a][2] - bars[b][2]));
	};
	const svg = (name, attributes, text) => {
		const e = document.createElementNS("http://www.w3.org/2000/svg", name);
		for (const k in attributes) e.setAttribute(k, attributes[k]);
		if (text !== undefined) e.textContent = text;
		return e;
	};
	const clip = (text, width) => {
		const fits = Math.floor(width / 6.5);
		return text.length > fits ? text.slice(0, fits - 1) + "…" : text;
	};
	const draw = () => {
		const width = Math.max($("lanes").clientWidth, 300), scale = (width - left) / span;
		const all = svg("svg", { height: top + lane * gateways.length + 4, viewBox: `0 0 ${width} ${top + lane * gateways.length + 4}` });
		const step = 10 ** Math.floor(Math.log10(span / 4)) * (span / 10 ** Math.floor(Math.log10(span / 4)) > 20 ? 5 : 2);
		for (let t = Math.ceil(from / step) * step; t <= from + span; t += step) {
			const x = left + (t - from) * scale;
			all.append(svg("line", { x1: x, x2: x, y1: top - 4, y2: top + lane * gateways.length, stroke: "currentColor", "stroke-opacity": .15 }), svg("text", { x: x + 2, y: 12, class: "axis" }, took(t)));
		}
		gateways.forEach((g, n) => {
			const y = top + n * lane;
			if (n > 0 && g[1] !== gateways[n - 1][1]) all.append(svg("line", { x1: 0, x2: width, y1: y, y2: y, stroke: "currentColor", "stroke-opacity": .4 }));
			const reach = (start, ms) => [Math.max(left, left + (start - from) * scale), Math.min(width, left + (start + ms - from) * scale)];
			for (const i of stepsByLane[n]) {
				const [, text, start, ms, kind] = steps[i];
				if (start + ms < from || start > from + span) continue;
				const [x, right] = reach(start, ms);
				all.append(svg("rect", { x, y: y + 5, width: Math.max(.7, right - x), height: lane - 11, class: `s${kind}` + (critical.has("s" + i) ? " critical" : ""), "data-step": i }));
				if (right - x > 60) all.append(svg("text", { x: x + 3, y: y + 14, "pointer-events": "none" }, clip(text, right - x)));
			}
			let end = -1;
			for (const i of byLane[n]) {
				const [, t, start, ms, outcome, attempt] = bars[i];
				if (start + ms < from || start > from + span) continue;
				const [x, right] = reach(start, ms);
				if (right - x < .7 && x < end + .7 && outcome !== 1) continue;
				end = Math.max(right, x + .7);
				all.append(svg("rect", { x, y: y + 2, width: Math.max(.7, right - x), height: lane - 5, class: `b${outcome}` + (critical.has("b" + i) ? " critical" : "") + (attempt > 1 ? " again" : "") + (found && !found.has(t) ? " dim" : ""), "data-bar": i }));
				if (right - x > 60) all.append(svg("text", { x: x + 3, y: y + 13, "pointer-events": "none" }, clip(tests[t][1], right - x)));
			}
			all.append(svg("rect", { x: 0, y, width: left - 2, height: lane, style: "fill: var(--paper); stroke: none" }), svg("text", { x: 2, y: y + 13 }, `${g[0]} ${g[1]}`.slice(0, 22)));
		});
		$("lanes").replaceChildren(all);
	};
	const zoom = (factor, at) => {
		const next = Math.min(length, Math.max(10, span * factor));
		from = Math.max(0, Math.min(length - next, from + (span - next) * at));
		span = next;
		draw();
	};
	const pan = by => { from = Math.max(0, Math.min(length - span, from + by)); draw(); };
	const tell = i => {
		const [g, t, start, ms, outcome, attempt] = bars[i];
		$("tip").textContent = `${id(tests[t])}: ${["passed", "failed", "skipped", "ended", "runs"][outcome]} after ${took(ms)} on ${gateways[g][0]}, from ${took(start)}` + (attempt > 1 ? `, attempt ${attempt}` : "");
	};
	const tellStep = i => {
		const [, text, start, ms] = steps[i];
		$("tip").textContent = `${text}: ${took(ms)}, from ${took(start)}`;
	};
	const lanes = $("lanes");
	lanes.addEventListener("wheel", e => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : .8, Math.max(0, (e.offsetX - left) / (lanes.clientWidth - left))); }, { passive: false });
	lanes.addEventListener("pointermove", e => {
		if (e.buttons === 1) pan(-e.movementX * span / (lanes.clientWidth - left));
		else if (e.target.dataset && e.target.dataset.bar) tell(+e.target.dataset.bar);
		else if (e.target.dataset && e.target.dataset.step) tellStep(+e.target.dataset.step);
	});
	lanes.addEventListener("click", e => {
		if (!e.target.dataset.bar) return;
		$("search").value = id(tests[bars[+e.target.dataset.bar][1]]);
		search();
	});
	lanes.addEventListener("keydown", e => {
		const keys = { "+": () => zoom(.5, .5), "=": () => zoom(.5, .5), "-": () => zoom(2, .5), "0": () => { from = 0; span = length; draw(); }, ArrowLeft: () => pan(-span / 5), ArrowRight: () => pan(span / 5) };
		if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
	});
	addEventListener("resize", draw);
	addEventListener("beforeprint", () => { for (const d of document.querySelectorAll("details")) d.open = true; });

	// #search=… in the address is a search: it can be linked to.
	const remember = () => { history.replaceState(null, "", $("search").value ? "#search=" + encodeURIComponent($("search").value) : "#"); };
	const search = () => { list(); draw(); try { remember(); } catch { } };
	$("search").addEventListener("input", search);
	$("filter").addEventListener("change", search);
	for (const b of document.querySelectorAll("[data-sort]")) {
		b.addEventListener("click", () => { down = order === b.dataset.sort ? !down : b.dataset.sort === "took"; order = b.dataset.sort; list(); });
	}
	const asked = /^#search=(.*)$/.exec(location.hash);
	if (asked) $("search").value = decodeURIComponent(asked[1]);
	const first = document.querySelector(".failure");
	if (first) first.open = true;
	$("tests-section").hidden = false;
	list();
	const show = () => {
		arrange();
		if (bars.length + steps.length) {
			$("timeline-section").hidden = false;
			draw();
		}
	};
	show();

	// While the run goes on the page is told what is new, and asks for the report at the end.
	if (!report.live) return;
	const numberIn = (list, index, key, made) => {
		if (!index.has(key)) {
			index.set(key, list.length);
			list.push(made);
		}
		return index.get(key);
	};
	const byPackage = new Map(), byPlatform = new Map(), byGateway = new Map(), byId = new Map();
	const testAt = (pkg, name) => numberIn(tests, byId, pkg + "::" + name, [numberIn(packages, byPackage, pkg, pkg), name, 5, -1, 0, 0, numberIn(platforms, byPlatform, "", "")]);
	let ended = 0; // bars of tests that have ended
	const take = news => {
		const all = from + span >= length;
		length = Math.max(news.length, 1);
		if (all) span = length - from;
		for (const [name, host] of news.gateways || []) gateways[numberIn(gateways, byGateway, name, [name, host])] = [name, host];
		for (const [pkg, name, verdict, gateway, ms, platform] of news.tests || []) {
			const g = byGateway.has(gateway) ? byGateway.get(gateway) : -1;
			tests[testAt(pkg, name)] = [byPackage.get(pkg), name, verdict, g, ms, 0, numberIn(platforms, byPlatform, platform, platform)];
		}
		for (const [name, host, text, start, ms, kind] of news.steps || []) steps.push([numberIn(gateways, byGateway, name, [name, host]), text, start, ms, kind]);
		bars.length = ended;
		for (const [gateway, pkg, name, start, ms, outcome, attempt] of news.bars || []) bars.push([byGateway.get(gateway), testAt(pkg, name), start, ms, outcome, attempt]);
		ended = bars.length;
		for (const [gateway, test, start] of news.running || []) {
			const [pkg, name] = test.split("::");
			bars.push([byGateway.get(gateway), testAt(pkg, name), start, Math.max(0, length - start), 4]);
		}
		if (news.failures) {
			$("failed-section").insertAdjacentHTML("beforeend", news.failures);
			$("failed-section").hidden = false;
		}
		document.querySelector(".headline").textContent = news.headline;
		document.title = document.querySelector("h1").textContent + ": " + news.headline;
		if ((news.tests || []).length) list();
		show();
	};
	const stream = new EventSource("news" + location.search);
	stream.onmessage = e => {
		const news = JSON.parse(e.data);
		take(news);
		if (!news.ended) return;
		stream.close();
		location.reload();
	};
})();
