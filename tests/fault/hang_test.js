/*
 * A worker hangs: it is stopped. It is replaced after `watchdog` and at most
 * a second, and meanwhile the others' clients notice nothing. If it goes on
 * before that, its own notice nothing but the pause.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {once} = require('node:events');
const WebSocket = require('ws');
const {group} = require('../system/suite.js');
const {processLives} = require('../system/daemon.js');
const {Crowd, longestGap, patience, pause, successors, until} = require('./crowd.js');

const CLIENTS = 40;
const GAP_MS = 300;       /* others hear nothing for at most so long */
const GRACE_MS = 1000;    /* from the watchdog's time to service */
const DOZERS = 150;       /* more than are read in one turn */
const DOZE_MS = 500;
const FLOOD = 600;        /* lines, more than a small journal holds */

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
	/* What the hung worker's clients have missed comes at once when it is
	 * replaced, and one process has all clients. */
	assert.ok(gap <= (GAP_MS + watchdogMs / 10) * patience(),
	    `others heard nothing for ${gap} ms`);
	assert.ok(slowest <= GRACE_MS, `a new client waited ${slowest} ms`);
	for (const w of await d.json('show', 'workers'))
		assert.equal(w.generation, before[w.slot].generation +
		    (w.slot === slot ? 1 : 0));
	await d.logged(new RegExp(`worker ${slot} hung for \\d+ ms`));
	await crowd.leave();
}

/* One that may hold its pongs back. */
class Dozer {
	constructor(d, i) {
		this.due = null; /* a pong that is held back, to be sent */
		this.end = null;
		/* workers may be given new connections in turn */
		const plain = i % 4 === 1 || i % 4 === 2;
		const ws = this.ws = new WebSocket(`ws://127.0.0.1:${d.port}/` +
		    `${plain ? 'ws' : 'connection/websocket'}?user=u${i}`,
		    {autoPong: false});
		ws.on('error', () => {});
		ws.on('close', (code, why) => this.end = `${code} ${why}`);
		ws.on('open', () => plain || ws.send('{"id":1,"connect":{}}'));
		ws.on('ping', () => this.answer(() => ws.pong()));
		ws.on('message', (data) => String(data) === '{}' &&
		    this.answer(() => ws.send('{}')));
	}

	answer(pong) {
		if (this.held)
			this.due = pong;
		else
			pong();
	}
}

/*
 * A worker is stopped for longer than a pong may take, but not so long that
 * it is replaced: what came meanwhile is read before anybody counts as silent.
 */
async function doze(d) {
	const all = [];
	for (let i = 0; i < DOZERS; i++) {
		all.push(new Dozer(d, i));
		/* one by one: few are read in one turn then */
		await once(all[i].ws, 'open');
	}
	const [worker] = await d.json('show', 'workers');
	for (const one of all)
		one.held = true;
	await until('a ping for all', () => all.every((one) => one.due));
	process.kill(worker.pid, 'SIGSTOP');
	for (const one of all) {
		one.held = false;
		one.due();
	}
	await pause(DOZE_MS);
	process.kill(worker.pid, 'SIGCONT');
	await pause(250); /* for the deadlines to be looked at */
	assert.deepEqual(all.map((one) => one.end).filter((end) => end), []);
	for (const one of all)
		one.ws.terminate();
	assert.equal((await d.json('show', 'workers'))[0].pid, worker.pid);
}

/*
 * While a worker is stopped the ring overwrites what it has not delivered: its
 * clients are told so, once, and hear what follows; the others miss nothing.
 */
async function oversleep(d) {
	const all = [];
	for (let i = 0; i < 12; i++) {
		/* workers may be given new connections in turn */
		const plain = i % 4 === 1 || i % 4 === 2;
		const p = {user: `u${i}`, plain, lines: [], texts: []};
		p.ws = new WebSocket(`ws://127.0.0.1:${d.port}/` +
		    `${plain ? 'ws' : 'connection/websocket'}?user=u${i}`);
		p.ws.on('message', (data) => {
			const text = String(data);
			p.texts.push(text);
			if (text === '{}')
				p.ws.send('{}');
			else if (plain)
				p.lines.push(text);
		});
		await once(p.ws, 'open');
		if (!plain)
			p.ws.send('{"id":1,"connect":{}}\n' +
			    '{"id":2,"subscribe":{"channel":"lobby"}}');
		all.push(p);
	}
	await until('all are in', () => all.every((p) => p.plain ||
	    p.texts.some((text) => text.includes('"id":2'))));
	const at = new Map((await d.json('show', 'connections'))
	    .map((c) => [c.user, c.worker]));
	const here = all.filter((p) => at.get(p.user) === 0);
	const there = all.filter((p) => at.get(p.user) === 1);
	const speaker = there.find((p) => p.plain);
	assert.ok(speaker && new Set(here.map((p) => p.plain)).size === 2);
	const [worker] = await d.json('show', 'workers');
	process.kill(worker.pid, 'SIGSTOP');
	for (let i = 0; i < FLOOD; i++)
		speaker.ws.send(`${i} ${'x'.repeat(4000)}`);
	await until('the flood', () => speaker.lines.length >= FLOOD);
	process.kill(worker.pid, 'SIGCONT');
	const unsubscribed = (p) => p.texts.filter((text) =>
	    text.includes('"unsubscribe":{"code":2500')).length;
	const skipped = (p) => p.lines.filter((line) =>
	    line === '* messages were skipped').length;
	await until('they are told', () => here.every((p) =>
	    p.plain ? skipped(p) > 0 : unsubscribed(p) > 0));
	speaker.ws.send('after');
	await until('what follows', () => all.every((p) => !p.plain ||
	    p.lines.at(-1) === `${speaker.user} says: after`));
	for (const p of here)
		assert.equal(p.plain ? skipped(p) : unsubscribed(p), 1, p.user);
	for (const p of there) {
		assert.equal(skipped(p) + unsubscribed(p), 0, p.user);
		if (p.plain)
			assert.equal(p.lines.length, FLOOD + 1);
	}
	for (const p of all)
		p.ws.terminate();
	assert.equal((await d.json('show', 'workers'))[0].pid, worker.pid);
}

group('a small journal', {workers: 2, conf: 'watchdog 10s\njournal 1M\n'},
    (test) => {
	test('who misses what the ring has overwritten is told', oversleep);
});
group('watchdog 10s', {workers: 1, conf: 'watchdog 10s\n' +
    'ping-interval 20ms\npong-timeout 400ms\n'}, (test) => {
	test('who sent a pong meanwhile is not silent', doze);
});
group('watchdog 500ms', {conf: 'watchdog 500ms\n'}, (test) => {
	for (let slot = 0; slot < 4; slot++)
		test(`worker ${slot} is stopped`, (d) => hang(d, 500, slot));
});
group('watchdog as it is', {}, (test) => {
	test('worker 1 is stopped', (d) => hang(d, 2000, 1));
});
