/*
 * A worker hangs: it is stopped. It is replaced after `watchdog` and at most
 * a second, and meanwhile the others' clients notice nothing.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {processLives} = require('../system/daemon.js');
const {Crowd, longestGap, patience, pause, successors, until} = require('./crowd.js');

const CLIENTS = 40;
const GAP_MS = 300;       /* others hear nothing for at most so long */
const GRACE_MS = 1000;    /* from the watchdog's time to service */

/* Stops a worker while all talk, and judges what follows. */
async function hang(d, watchdogMs, slot) {
	const crowd = new Crowd(d);
	await crowd.joinAll(Array.from({length: CLIENTS}, (_, i) => `u${i}`));
	await crowd.locate();
	const others = [...crowd.people].filter((p) => p.worker !== slot);
	const here = [...crowd.people].filter((p) => p.worker === slot);
	const before = await d.json('show', 'workers');
	crowd.cut();
	crowd.talk([...others.slice(0, 4), here[0]]);
	await pause(100);
	for (const p of others)
		p.arrivals = [];
	const at = performance.now();
	process.kill(before[slot].pid, 'SIGSTOP');
	/* New clients do not hang at it. */
	const late = await crowd.joinAll(['late0', 'late1', 'late2', 'late3']);
	const slowest = Math.max(...late.map((p) => p.opened - p.begin));
	await until('the hung worker is killed', () =>
	    !processLives(before[slot].pid), watchdogMs + 5000);
	const killed = performance.now() - at;
	const replaced = await successors(d, [slot], before) - at;
	await crowd.presence();
	await pause(50);
	await crowd.hush();
	await crowd.barrier();
	crowd.judge();
	const gap = longestGap(others);
	console.log(`     killed after ${Math.round(killed)} ms, replaced ` +
	    `after ${Math.round(replaced)} ms, longest gap for others ` +
	    `${Math.round(gap)} ms, slowest new client ${Math.round(slowest)} ms`);
	assert.ok(killed >= watchdogMs - 150, `killed early: ${killed} ms`);
	assert.ok(replaced <= watchdogMs + GRACE_MS * patience(),
	    `replaced after ${replaced} ms`);
	assert.ok(gap <= GAP_MS * patience(), `others heard nothing for ${gap} ms`);
	assert.ok(slowest <= GRACE_MS, `a new client waited ${slowest} ms`);
	for (const w of await d.json('show', 'workers'))
		assert.equal(w.generation, before[w.slot].generation +
		    (w.slot === slot ? 1 : 0));
	assert.ok(new RegExp(`worker ${slot} hung for \\d+ ms`).test(d.stderr),
	    'the log does not tell that it hung');
	await crowd.leave();
}

group('watchdog 500ms', {conf: 'watchdog 500ms\n'}, (test) => {
	for (let slot = 0; slot < 4; slot++)
		test(`worker ${slot} is stopped`, (d) => hang(d, 500, slot));
});
group('watchdog as it is', {}, (test) => {
	test('worker 1 is stopped', (d) => hang(d, 2000, 1));
});
