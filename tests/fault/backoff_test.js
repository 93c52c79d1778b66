/*
 * A slot whose workers die of their own fault three times in a row waits
 * before the next; the others serve, and presence is true meanwhile. Being
 * killed never counts.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Crowd, patience, until, workerState} = require('./crowd.js');

const SLOT = 1;
const CLEAN_MS = 1000;  /* presence after a death */
const KILLS = 12;       /* below the 20 in 10 s that a slot may fork */

/* The slot's worker when it runs; older than a generation. */
function running(d, generation) {
	return until(`a running worker after generation ${generation}`,
	    async () => {
		const w = await workerState(d, SLOT);
		return w.state === 'running' && w.generation > generation && w;
	}, 8000);
}

/* Ends the slot's worker; returns what it was. */
async function end(d, generation, signal) {
	const w = await running(d, generation);
	process.kill(w.pid, signal);
	return w;
}

/* One client on each worker at least; those of SLOT are returned. */
async function fill(crowd, prefix, n) {
	const all = await crowd.joinAll(Array.from({length: n},
	    (_, i) => prefix + i));
	await crowd.locate();
	const here = all.filter((p) => p.worker === SLOT);
	assert.ok(here.length > 0, `nobody at worker ${SLOT}`);
	return here;
}

/* All can talk to all. */
async function talks(crowd) {
	crowd.cut();
	crowd.talk([...crowd.people].slice(0, 4));
	await until('lines', () => crowd.speakers[0].echoed > 20);
	await crowd.hush();
	await crowd.barrier();
	crowd.judge();
}

group('back-off', {conf: 'log verbose\n'}, (test) => {
	test('three faults in a row', async (d) => {
		const crowd = new Crowd(d);
		let generation = 0;
		for (let i = 0; i < 2; i++)
			generation = (await end(d, generation, 'SIGSEGV'))
			    .generation;
		await running(d, generation);
		await fill(crowd, 'u', 24);
		const at = performance.now(), size = d.stderr.length;
		await end(d, generation, 'SIGSEGV');
		const waiting = await until('back-off', async () => {
			const w = await workerState(d, SLOT);
			return w.state === 'waiting' && w;
		});
		assert.equal(waiting.pid, 0);
		await until('they are thrown out, or taken over', async () => {
			await crowd.locate();
			return [...crowd.people].every((p) =>
			    p.worker !== SLOT && p.worker !== -1);
		});
		const left = CLEAN_MS * patience() - (performance.now() - at);
		await crowd.presence(left);
		for (let i = 0; i < 24; i++)
			if (![...crowd.people].some((p) => p.user === `u${i}`))
				await until(`u${i} left`, () => d.stderr
				    .slice(size).includes(`u${i} left`),
				    CLEAN_MS * patience());
		assert.equal((await workerState(d, SLOT)).state, 'waiting',
		    'presence was cleaned by its successor');
		await talks(crowd);
		/* A client that connects now goes to the other workers. */
		await crowd.joinAll(['v0', 'v1', 'v2', 'v3']);
		await talks(crowd);
		const next = await running(d, generation + 1);
		const waited = performance.now() - at;
		assert.ok(waited >= 900 && waited <= 1500 * patience(),
		    `back-off of ${waited} ms`);
		await fill(crowd, 'w', 12);
		await talks(crowd);
		await crowd.presence();
		/* Once more: twice as long. */
		await end(d, next.generation - 1, 'SIGABRT');
		const again = performance.now();
		await running(d, next.generation);
		assert.ok(performance.now() - again >= 1900,
		    `second back-off of ${performance.now() - again} ms`);
		await crowd.presence();
		await crowd.leave();
	});
});

group('no back-off', {}, (test) => {
	test(`${KILLS} workers killed in a row`, async (d) => {
		const crowd = new Crowd(d);
		let generation = 0;
		for (let i = 0; i < KILLS; i++) {
			generation = (await end(d, generation, 'SIGKILL'))
			    .generation;
			assert.doesNotMatch(d.stderr, /next start in/);
		}
		await running(d, generation);
		await fill(crowd, 'u', 16);
		await talks(crowd);
		await crowd.presence();
		await crowd.leave();
	});
	test('killed before it is ready', async (d) => {
		const w = await workerState(d, SLOT);
		let last = w.pid;
		process.kill(w.pid, 'SIGKILL');
		for (let i = 0; i < 4; i++) {
			const next = await until('a new pid', async () => {
				const {pid} = await workerState(d, SLOT);
				return pid !== 0 && pid !== last && pid;
			});
			process.kill(next, 'SIGKILL');
			last = next;
		}
		await running(d, w.generation);
	});
});
