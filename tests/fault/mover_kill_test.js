/*
 * A place without a worker: its mover, and the worker that goes on with its
 * connections, die at each kill point that they pass. Nobody is disconnected,
 * and in the end all are served, each by one worker, and no process has a
 * socket that is not its own. LONG=1 dies at more of the passes.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, until} = require('../system/daemon.js');
const {Guests, backOff, whole} = require('./guests.js');
const {List} = require('./kill_points.js');

const GUESTS = 60;   /* half of them at each of two workers */
const AT_ONCE = 5;   /* daemons */
const NTH = LONG ? [1, 2, 5, 11, 23] : [1]; /* passes to die at */
const TAKER = 0, PLACE = 1; /* lines: who goes on, and the mover's */
const FILES = {
	[PLACE]: /^mover\//,
	[TAKER]: /^takeover\/(adoption|move)\.c/,
};

/* Worker 1 is in back-off for a while; calls f() before that. Returns what f()
 * has made of all that there is once everybody is served again. */
async function away(f, look) {
	const list = new List();
	const d = await Daemon.start({workers: 2,
	    env: {CHATD_KILL_LIST: list.path}});
	try {
		await whole(d);
		const guests = await Guests.come(d, GUESTS);
		f(list);
		await backOff(d, [PLACE], 4);
		await guests.served();
		await whole(d);
		await guests.served();
		await guests.kept();
		const seen = look(list);
		guests.leave();
		await d.stop();
		return seen;
	} catch (error) {
		error.message += `\n${d.stderr}`;
		throw error;
	} finally {
		await d.kill();
		list.remove();
	}
}

/* The passes to die at: [line, name of a point, which of its passes]. */
async function passes() {
	let before;
	return away((list) => before = list.passes(/./), (list) =>
	    Object.entries(FILES).flatMap(([line, files]) =>
		[...list.passes(files)].flatMap(([point, n]) => {
			const most = Number(n - (before.get(point) ?? 0n));
			return NTH.filter((nth) => nth <= most)
			    .map((nth) => [Number(line), point, nth]);
		})));
}

/* One dies at a pass. Returns whether it came to that. */
function die([line, point, nth]) {
	return away((list) => list.arm(parseInt(point, 10), nth, line),
	    (list) => list.fired(line) > 0);
}

group('a place without a worker', null, (test) => {
	test('mover and taker die at each of their points', async () => {
		const all = await passes(), deaths = {[TAKER]: 0, [PLACE]: 0};
		const left = [...all], bad = [];

		await Promise.all(Array.from({length: AT_ONCE}, async () => {
			for (let pass; (pass = left.shift()) !== undefined;)
				try {
					if (await die(pass))
						deaths[pass[0]]++;
				} catch (error) {
					bad.push(`${pass.join(', ')}: ${error.message}`);
				}
		}));
		console.log(`     ${all.length} passes of ` +
		    `${new Set(all.map((pass) => pass[1])).size} points: ` +
		    `${deaths[PLACE]} movers and ${deaths[TAKER]} takers died`);
		assert.deepEqual(bad, []);
		assert.ok(deaths[PLACE] > 3 && deaths[TAKER] > 10);
	}, {limit: LONG ? 900000 : 120000});
});
