/*
 * A worker is killed while it holds the lock under which messages are
 * published, and the master is stopped: publishing goes on at once, for the
 * kernel frees the lock. The master, when it goes on, has the worker replaced.
 */
'use strict';

const {choose} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, processStat} = require('../system/daemon.js');
const {Crowd, patience, pause, successors, until} = require('./crowd.js');

const FILE = 'journal.c'; /* its kill points are passed with the lock */
const FIRST = 300;        /* of them: in the middle of the talk */
const STEP = 3;           /* points further for each try */
const WANTED = 3;
const TRIES = 15;
const STILL_MS = 60;      /* nobody hears anything: the lock is held */
const AT_ONCE_MS = 200;   /* from the holder's death */

/* Has worker 0 stop at its n-th such point; whether it had the lock there. */
async function killAt(n) {
	const d = await Daemon.start({workers: 3, conf: 'watchdog 10s\n',
	    env: {CHATD_KILL_WORKER: '0', CHATD_KILL_FILE: FILE,
	    CHATD_KILL_NTH: String(n), CHATD_KILL_SIGNAL: '19'}});
	const crowd = new Crowd(d);
	/* on a busy machine one worker may take all who come at once */
	for (let k = 0; k < 5 && ![...crowd.people].some((p) =>
	    p.worker === 0); k++) {
		await crowd.joinAll(Array.from({length: 15},
		    (_, i) => `u${15 * k + i}`));
		await crowd.locate();
	}
	const before = await d.json('show', 'workers');
	const others = [...crowd.people].filter((p) => p.worker !== 0);
	const here = [...crowd.people].filter((p) => p.worker === 0);
	const total = () => others.reduce((sum, p) => sum + p.heard.length, 0);
	crowd.cut();
	crowd.talk([...others.slice(0, 3), ...here.slice(0, 1)]);
	await until('worker 0 stops', () =>
	    processStat(before[0].pid)?.state === 'T');
	process.kill(d.pid, 'SIGSTOP');
	await pause(20);
	const heard = total();
	await pause(STILL_MS);
	const held = total() === heard;
	const begin = performance.now();
	process.kill(before[0].pid, 'SIGKILL');
	if (held) {
		await until('publishing goes on', () => total() > heard + 30);
		const ms = performance.now() - begin;
		console.log(`     point ${n}: after ${Math.round(ms)} ms`);
		assert.ok(ms < AT_ONCE_MS * patience(), `not for ${ms} ms`);
	}
	process.kill(d.pid, 'SIGCONT');
	await successors(d, [0], before);
	await crowd.hush();
	await crowd.barrier();
	crowd.judge();
	await crowd.leave();
	await d.clean();
	await d.stop();
	return held;
}

group('lock', null, (test) => {
	test(`its holder dies while the master is stopped, ${WANTED} times`,
	    async () => {
		let held = 0;
		for (let i = 0; held < WANTED; i++) {
			assert.ok(i < TRIES, `held at ${held} points only`);
			if (await killAt(FIRST + i * STEP))
				held++;
		}
	}, {limit: 120000});
});
