/*
 * Relays between workers that are lost, late or out of order cost nothing:
 * everybody hears everything once, in one order. In a build that drops a third
 * of them and has another third overtaken; then workers are killed as well.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('kill');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Crowd, pause, successors} = require('./crowd.js');

const TALK_MS = LONG ? 30000 : 4000;
const KILLS = LONG ? 100 : 6;

group('relays', {workers: 4, env: {CHATD_RELAY_CHAOS: '1'}}, (test) => {
	test('100 publishers on 4 workers', async (d) => {
		const crowd = new Crowd(d);
		await crowd.joinAll(Array.from({length: 100},
		    (_, i) => `u${i}`));
		crowd.cut();
		crowd.talk([...crowd.people]);
		await pause(TALK_MS);
		await crowd.hush();
		await crowd.barrier();
		crowd.judge();
		const stats = await d.json('show', 'stats');
		assert.ok(stats.relay_skipped > 100,
		    `only ${stats.relay_skipped} relays were lost`);
		await crowd.leave();
	}, {limit: 60000 + TALK_MS});

	test('and workers are killed', async (d) => {
		const crowd = new Crowd(d);
		await crowd.joinAll(Array.from({length: 40},
		    (_, i) => `v${i}`));
		await crowd.locate();
		crowd.cut();
		crowd.talk([...crowd.people]);
		for (let k = 0; k < KILLS; k++) {
			const before = await d.json('show', 'workers');
			process.kill(before[k % 4].pid, 'SIGKILL');
			await successors(d, [k % 4], before);
			await pause(300);
		}
		await crowd.hush();
		await crowd.barrier();
		crowd.judge();
		await crowd.leave();
	}, {limit: 120000 + KILLS * 1000});
});
