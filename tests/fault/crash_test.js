/*
 * Workers die under load, one or two at a time, at random: by KILL, and of
 * their own fault. What their clients' neighbours hear is complete, once, in
 * one order; presence is true and the leaves are logged within a second; the
 * next worker serves within a second.
 */
'use strict';

const {choose, LONG} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {processDescriptors} = require('../system/daemon.js');
const {Crowd, patience, pause, successors, until} = require('./crowd.js');

const WORKERS = 4;
const CLIENTS = 200;
const SPEAKERS = 12;
const ROUNDS = LONG ? 300 : 10;
const SLOWEST_MS = 1000;     /* death to service, presence, leaves */
const AFTER_MS = 200;        /* talk goes on at least so long */
const GOOD_LIFE_MS = 10000;  /* clears a slot's faults */
const FAULTS = 2;            /* in a row without a back-off */

const lives = Array.from({length: WORKERS}, () => ({faults: 0, born: 0}));

/* A signal that does not send the slot into back-off. */
function chooseSignal(slot) {
	const life = lives[slot], now = Date.now();
	const all = ['SIGKILL', 'SIGSEGV', 'SIGABRT'];
	let signal = all[Math.floor(Math.random() * 3)];
	if (now - life.born >= GOOD_LIFE_MS)
		life.faults = 0;
	if (signal !== 'SIGKILL' && ++life.faults > FAULTS) {
		life.faults = FAULTS;
		signal = 'SIGKILL';
	}
	life.born = now;
	return signal;
}

/* One or two different workers. */
function chooseVictims(round) {
	const slots = Array.from({length: WORKERS}, (_, i) => i)
	    .sort(() => Math.random() - 0.5);
	return slots.slice(0, round % 4 === 3 ? 2 : 1);
}

/* Kills them while everybody talks. Returns what was killed and when. */
async function kill(d, victims) {
	const before = await d.json('show', 'workers');
	const at = performance.now(), size = d.stderr.length;
	for (const slot of victims)
		process.kill(before[slot].pid, chooseSignal(slot));
	return {at, size, victims, before};
}

/*
 * The next workers serve: a client at each, a new one or one that was taken
 * over, hears a line. Returns how long after the death the last of them ran.
 */
async function serves(d, crowd, death) {
	const seen = await successors(d, death.victims, death.before);
	for (const slot of death.victims) {
		let heard = [];
		await until(`somebody at the new worker ${slot} hears`, async () => {
			await crowd.locate();
			heard = [...crowd.people].filter((p) =>
			    p.worker === slot && p.last > seen);
			return heard.length;
		});
	}
	return seen - death.at;
}

/* Those who do not come back are out of presence and in the log. */
async function leaves(d, death, away) {
	let listed, unlogged;
	await until('leaves', async () => {
		const log = d.stderr.slice(death.size);
		const users = await d.json('show', 'users');
		listed = away.filter((u) => users.some((x) => x.user === u));
		unlogged = away.filter((u) => !log.includes(`${u} left`));
		return !listed.length && !unlogged.length;
	}).catch((error) => {
		throw new Error(`${error.message}: still listed ${listed}; ` +
		    `not in the log ${unlogged}`);
	});
	return performance.now() - death.at;
}

/* One round: talk, death, judgement, everybody back. */
async function crash(d, crowd, round, times) {
	const away = [], backs = [], lost = [];

	await crowd.locate();
	crowd.cut();
	const speakers = [...crowd.people].sort(() => Math.random() - 0.5)
	    .slice(0, SPEAKERS);
	/* Of those who are thrown out, the even ones come back at once. */
	crowd.lost = (p) => {
		lost.push(p);
		const n = Number(p.user.slice(1));
		if (n % 2 === 0)
			backs.push(crowd.join(p.user));
		else
			away.push(p.user);
	};
	crowd.talk(speakers);
	await pause(50 + Math.random() * 100);
	const death = await kill(d, chooseVictims(round));
	const [served, left] = await Promise.all(
	    [serves(d, crowd, death), leaves(d, death, away)]);
	times.served.push(served);
	times.left.push(left);
	await pause(Math.max(0, AFTER_MS - (performance.now() - death.at)));
	await crowd.hush();
	await Promise.all(backs);
	await crowd.barrier();
	crowd.judge();
	crowd.lost = null;
	for (const p of lost)
		assert.ok(death.victims.includes(p.worker), `${p.user} at ` +
		    `worker ${p.worker}, which lives, was thrown out`);
	times.lost += lost.length;
	await crowd.joinAll(away);
	await crowd.presence();
	const after = await d.json('show', 'workers');
	for (const w of after) {
		assert.equal(w.generation, death.before[w.slot].generation +
		    (death.victims.includes(w.slot) ? 1 : 0),
		    `generation of worker ${w.slot}`);
		assert.equal(w.state, 'running');
	}
}

/* The largest and the middle one. */
function digest(name, values) {
	const sorted = [...values].sort((a, b) => a - b);
	return `${name} ${Math.round(sorted[sorted.length >> 1])} ms in the ` +
	    `middle, ${Math.round(sorted.at(-1))} ms at most`;
}

group('crash', {workers: WORKERS, conf: 'log verbose\n'}, (test) => {
	test(`${ROUNDS} rounds of deaths under load`, async (d) => {
		const crowd = new Crowd(d), times =
		    {served: [], left: [], lost: 0};
		await crowd.joinAll(Array.from({length: CLIENTS},
		    (_, i) => `u${i}`));
		try {
			for (let round = 0; round < ROUNDS; round++)
				await crash(d, crowd, round, times)
				    .catch((error) => {
					error.message = `round ${round}: ` +
					    error.message;
					throw error;
				});
		} finally {
			await crowd.leave();
		}
		console.log(`     ${crowd.judged} lines judged, ` +
		    `${times.lost} clients thrown out; ` +
		    `${digest('next worker runs after', times.served)}; ` +
		    digest('presence true after', times.left));
		assert.ok(Math.max(...times.served) <= SLOWEST_MS * patience(),
		    digest('next worker runs after', times.served));
		assert.ok(Math.max(...times.left) <= SLOWEST_MS * patience(),
		    digest('presence true after', times.left));
		assert.equal(processDescriptors(d.pid), d.descriptors,
		    'descriptors in the master');
	}, {limit: LONG ? 1800000 : 60000});
});
