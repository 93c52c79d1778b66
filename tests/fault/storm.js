/*
 * storm: what goes on beside the writers of ledger.js and archive.js.
 *
 *	await storm(d, 10, ['worker', 'store'], {come: async (k) => ...});
 */
'use strict';

const assert = require('node:assert/strict');
const {Line} = require('../system/centrifugo.js');
const {pause} = require('../system/daemon.js');
const {Choir, one} = require('./ledger.js');

/* Sends one of those processes a signal; false: there is none any more. */
function hit(processes, signal) {
	try {
		process.kill(one(processes).pid, signal);
		return true;
	} catch {
		return false;
	}
}

/*
 * Hits at random for so many seconds, not more than the master takes for many:
 * processes of those kinds, one that is named twice twice as often. `more`: what
 * else is done, each given how often it was; false: it was not.
 */
async function storm(d, seconds, kinds, more) {
	const end = performance.now() + seconds * 1000;
	const hits = {};
	while (performance.now() < end) {
		const all = (await d.json('show', 'processes'))
		    .filter((p) => p.pid);
		const workers = all.filter((p) => p.kind === 'worker');
		const dice = Math.random();
		let what, done;
		if (dice < 0.57) {
			what = one(kinds);
			done = hit(all.filter((p) => p.kind === what &&
			    (p.state ?? 'running') === 'running'), 'SIGKILL');
		} else if (dice < 0.64) {
			what = 'stopped';
			done = hit(workers, 'SIGSTOP');
		} else if (dice < 0.69) {
			what = 'upgrade';
			done = (await d.ctl('upgrade')).status === 0;
		} else if (dice < 0.74) {
			what = 'restart';
			done = (await d.ctl('restart-worker',
			    String(one([0, 1])))).status === 0;
		} else {
			what = one(Object.keys(more));
			done = await more[what](hits[what] ?? 0) !== false;
		}
		if (done)
			hits[what] = (hits[what] ?? 0) + 1;
		await pause(300 + Math.random() * 500);
	}
	console.log(`     ${JSON.stringify(hits)}`);
}

/* Others come, the k-th, to channels of their own, talk and fall silent: their
 * Choir; null: they could not come. */
async function others(d, k, options = {}) {
	const c = await Choir.open(d, 2, {suffix: `-${k}`, ...options})
	    .catch(() => null);
	if (c) {
		c.begin();
		await pause(200);
		await c.end();
	}
	return c;
}

/* Publishes to one new channel after the other, whose names begin so and which
 * have to be opened, until told to stop; returns how many. */
async function opening(d, prefix, state) {
	const l = await Line.connected(d, '?user=opener');
	let n = 0;
	for (; !state.stop; n++) {
		const r = await l.ask('publish',
		    {channel: `${prefix}-${n}`, data: n});
		assert.ok(r.publish, `${prefix}-${n}: ${JSON.stringify(r)}`);
		await pause(1); /* the processors are for the others, too */
	}
	l.client.drop();
	return n;
}

module.exports = {opening, others, storm};
