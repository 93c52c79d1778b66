/*
 * Worker 0 is killed at its n-th kill point, a store that recovery relies on:
 * n = 1, 2, 3 ... until it survives a script in which clients come, talk,
 * whisper and leave. Each time the others lose nothing, the next worker
 * serves, presence is true, and who left is in the log.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon} = require('../system/daemon.js');
const {Crowd, talks, until, workerState} = require('./crowd.js');

const STEP = LONG ? 1 : 29;   /* points */
const LAST = 5000;            /* the script must have ended before */
const LINES = 2;              /* of each speaker */
const CLIENTS = 6;

/* Joins, once more if the worker dies meanwhile. */
async function joinSurely(crowd, user) {
	for (let i = 0; ; i++)
		try {
			return await crowd.join(user);
		} catch (error) {
			if (i === 3)
				throw error;
		}
}

/* Clients come, talk and leave, whatever happens to worker 0. */
async function script(d, crowd) {
	for (let i = 0; i < CLIENTS; i++)
		await joinSurely(crowd, `u${i}`);
	await joinSurely(crowd, 'u1');
	await crowd.locate();
	crowd.cut();
	/* One on each worker, if there is one. */
	crowd.talk([0, 1, 2].map((slot) => [...crowd.people]
	    .find((p) => p.worker === slot)).filter((p) => p));
	await until('lines', () => crowd.speakers.every((p) =>
	    p.closed || p.echoed >= LINES));
	await crowd.hush();
	await crowd.barrier();
	crowd.judge();
	await crowd.locate();
	/* One leaves politely, another does not, a third is kicked. */
	const here = [...crowd.people].filter((p) => p.worker === 0);
	here[0]?.ws.close();
	here[1]?.ws.terminate();
	if (here[2])
		assert.equal((await d.ctl('kick', here[2].user)).status, 0);
	await until('they have left', () =>
	    here.slice(0, 3).every((p) => p.closed));
}

/* How often each user joined and left, as the log tells. */
function passages(log) {
	const all = {};
	for (const m of log.matchAll(/: (u\d+|late\d) (joined|left)$/gm)) {
		all[m[1]] ??= {joined: 0, left: 0};
		all[m[1]][m[2]]++;
	}
	return all;
}

/* All talk, and some of them at the next worker 0. */
async function serves(d, crowd) {
	for (let i = 0; ![...crowd.people].some((p) => p.worker === 0); i++) {
		assert.ok(i < 10, 'nobody gets to worker 0');
		await crowd.join(`late${i}`);
		await crowd.locate();
	}
	await talks(crowd, LINES);
	await crowd.presence();
	for (const w of await d.json('show', 'workers'))
		assert.equal(w.generation, w.slot === 0 ? 2 : 1);
}

/* One death; whether there was one. */
async function dieAt(n) {
	const d = await Daemon.start({workers: 3, env: {CHATD_KILL_WORKER: '0',
	    CHATD_KILL_NTH: String(n), CHATD_KILL_SIGNAL: '9'}});
	try {
		const crowd = new Crowd(d);
		await script(d, crowd);
		/* A death is logged soon, if there was one. */
		const died = await until('an end', async () => {
			const w = await workerState(d, 0);
			return w.state === 'running' && w;
		}).then((w) => w.generation > 1);
		await crowd.presence();
		if (died)
			await serves(d, crowd);
		await crowd.leave();
		await d.clean();
		const all = passages(d.stderr);
		for (const [user, seen] of Object.entries(all))
			await until(`the log tells that ${user} left`, () => {
				const now = passages(d.stderr)[user];
				return now.left >= now.joined;
			}, 1000);
		await d.stop();
		return died;
	} catch (error) {
		error.message = `point ${n}: ${error.message}\n` +
		    d.stderr.slice(-1500);
		throw error;
	} finally {
		await d.kill();
	}
}

group('publish', null, (test) => {
	test(`worker 0 dies at each ${STEP}th kill point`, async () => {
		const bad = [];
		let n = 1, deaths = 0;
		for (; ; n += STEP) {
			assert.ok(n <= LAST, 'the script does not end');
			const died = await dieAt(n).catch((error) => {
				bad.push(error);
				return true;
			});
			if (!died)
				break;
			deaths++;
			if (bad.length >= 5)
				break;
		}
		console.log(`     ${deaths} deaths, survived at point ${n}`);
		assert.equal(bad.length, 0, bad.map((e) => e.message).join('\n'));
	}, {limit: LONG ? 1800000 : 110000});
});
