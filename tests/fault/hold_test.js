/*
 * A worker hangs while it holds the lock: publishing pauses for at most a
 * second, and nobody but the holder is killed.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Daemon, processLives, processStat} = require('../system/daemon.js');
const {Crowd, longestGap, patience, pause, successors, until} =
    require('./crowd.js');

const FILE = 'journal.c'; /* its kill points are passed with the lock */
const FIRST = 300;        /* of them: in the middle of the talk */
const STEP = 3;           /* points further for each try */
const WANTED = LONG ? 20 : 3;
const TRIES = WANTED * 6; /* when the talk ends too early */
const PAUSE_MS = 1000;    /* of publishing */
const STILL_MS = 100;     /* nobody hears anything: the lock is held */

/*
 * Has worker 0 stop at its n-th such point, under way in the talk; returns
 * whether it held the lock there, and judges if it did.
 */
async function holdAt(n) {
	const d = await Daemon.start({workers: 3, env: {CHATD_KILL_WORKER: '0',
	    CHATD_KILL_FILE: FILE, CHATD_KILL_NTH: String(n),
	    CHATD_KILL_SIGNAL: '19'}});
	const crowd = new Crowd(d);
	await crowd.joinAll(Array.from({length: 15}, (_, i) => `u${i}`));
	await crowd.locate();
	const before = await d.json('show', 'workers');
	const others = [...crowd.people].filter((p) => p.worker !== 0);
	const here = [...crowd.people].filter((p) => p.worker === 0);
	if (here.length === 0) {
		await d.kill();
		return false;
	}
	crowd.cut();
	for (const p of others)
		p.arrivals = [];
	crowd.talk([...others.slice(0, 3), here[0]]);
	await until('worker 0 stops', () =>
	    processStat(before[0].pid)?.state === 'T');
	const total = () => others.reduce((sum, p) => sum + p.heard.length, 0);
	await pause(20);
	const heard = total();
	await pause(STILL_MS);
	if (total() !== heard) {
		await d.kill();
		return false;
	}
	await until('the holder is killed', () =>
	    !processLives(before[0].pid));
	await until('publishing goes on', () => total() > heard + 50);
	await successors(d, [0], before);
	await crowd.presence();
	await crowd.hush();
	await crowd.barrier();
	crowd.judge();
	const gap = longestGap(others);
	console.log(`     point ${n}: publishing paused for ` +
	    `${Math.round(gap)} ms`);
	assert.ok(gap <= PAUSE_MS * patience(), `publishing paused ${gap} ms`);
	await d.logged(/worker 0 hung for \d+ ms with the lock/);
	for (const w of await d.json('show', 'workers'))
		assert.equal(w.generation, w.slot === 0 ? 2 : 1);
	await crowd.leave();
	await d.clean();
	await d.stop();
	return true;
}

group('hold', null, (test) => {
	test(`${WANTED} points with the lock`, async () => {
		let held = 0;
		for (let i = 0; held < WANTED; i++) {
			assert.ok(i < TRIES, `held at ${held} points only`);
			if (await holdAt(FIRST + i * STEP))
				held++;
		}
	}, {limit: LONG ? 600000 : 90000});
});
