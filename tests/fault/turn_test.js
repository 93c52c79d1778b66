/*
 * However much is asked at once, a worker shows life and takes care of others:
 * its turn ends in time, and the watchdog kills nobody who works.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Line} = require('../system/centrifugo.js');

const KEPT = 6000; /* publications that every question counts */
const ASKERS = 20;
const EACH = 200;
const ALONE = 8000;

/* Says n commands in one frame and hears the last answer. */
async function ask(line, n, command) {
	const c = line.client;
	line.say(...Array.from({length: n},
	    (_, k) => `{"id":${k + 1},${command}}`));
	await c.wait('answers', () =>
	    Buffer.concat(c.chunks.slice(-2)).includes(`{"id":${n},`), 20000);
	c.take(c.have);
}

/* The worker, and how long something took. */
async function timed(d, what) {
	const begin = performance.now();
	await what();
	const ms = performance.now() - begin;
	const worker = (await d.json('show', 'workers'))[0];
	return {ms, worker, turn: worker.turn_max_us / 1000};
}

group('much at once', {workers: 1,
	conf: 'watchdog 100ms\nmessage-size 1M\n' +
	    'channel "h" {\n\tsubscribe all\n\tpublish all\n' +
	    `\thistory ${KEPT}\n}\n`}, (test) => {
	test('many ask, then one asks', async (d) => {
		const question = '"history":{"channel":"h"}';
		const askers = [];
		for (let i = 0; i < ASKERS; i++)
			askers.push(await Line.connected(d, `?user=a${i}`));
		await ask(askers[0], 1, '"subscribe":{"channel":"h"}');
		await ask(askers[0], KEPT, '"publish":{"channel":"h","data":1}');
		const many = await timed(d, () => Promise.all(askers.map((a) =>
		    ask(a, EACH, question))));
		const one = await timed(d, () =>
		    ask(askers[1], ALONE, question));
		console.log(`     ${ASKERS} x ${EACH} questions: ` +
		    `${Math.round(many.ms)} ms, longest turn ` +
		    `${Math.round(many.turn)} ms; ${ALONE} at once: ` +
		    `${Math.round(one.ms)} ms, ${Math.round(one.turn)} ms`);
		assert.equal(one.worker.generation, 1, 'a worker was killed');
		assert.ok(one.ms > 200, 'nothing that took long');
		assert.ok(one.turn < one.ms / 4, `a turn took ${one.turn} ` +
		    `of ${one.ms} ms`);
		assert.ok(many.turn < many.ms / 2, `a turn took ${many.turn} ` +
		    `of ${many.ms} ms`);
	});
});
