/*
 * Planned moves that no client may notice: workers replaced one by one under
 * load, more workers at a reload; and the one that clients are to notice, at
 * the operator's pace: drain.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {pause, processLives, until} = require('./daemon.js');
const {Client, request} = require('./client.js');
const {Crowd, patience} = require('../fault/crowd.js');

const CLIENTS = 100;
const SPEAKERS = 12;

/* A crowd that fails the test when anybody is disconnected. */
async function crowdOf(d, n) {
	const crowd = new Crowd(d);
	crowd.lost = (p) => crowd.broken = p;
	await crowd.joinAll(Array.from({length: n}, (_, i) => `u${i}`));
	return crowd;
}

/* Everybody is still there, and heard everything in order. */
async function judge(crowd) {
	await crowd.hush();
	await crowd.barrier();
	assert.equal(crowd.broken, undefined, 'somebody was disconnected: ' +
	    JSON.stringify(crowd.broken?.closed));
	crowd.judge();
}

/* Restarts one worker; resolves when the next one runs. */
async function restart(d, slot) {
	const before = (await d.ask('show', 'workers'))[slot];
	const r = await d.ctl('restart-worker', String(slot));
	assert.deepEqual([r.status, r.stderr], [0, '']);
	await until('the next worker', async () => {
		const w = (await d.ask('show', 'workers'))[slot];
		return w.generation === before.generation + 1 &&
		    w.state === 'running' && w.pid !== before.pid;
	}, 10000);
	assert.ok(!processLives(before.pid), 'the old one has left');
	assert.equal((await d.ask('show', 'workers'))[slot].keeper,
	    before.keeper, 'same keeper');
}

group('restart-worker', {workers: 4}, (test) => {
	test('nobody notices, under load', async (d) => {
		const crowd = await crowdOf(d, CLIENTS);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		for (const slot of [0, 1, 2, 3, 0])
			await restart(d, slot);
		await judge(crowd);
		/* All are new ones; somebody accepts. */
		await crowd.joinAll(['late1', 'late2', 'late3', 'late4']);
		await crowd.presence();
		assert.doesNotMatch(d.stderr, /[1-9]\d* (were lost|spoilt)/);
		await crowd.leave();
	}, {limit: 60000});
	test('a request that is half there is served all the same', async (d) => {
		const all = [];
		for (let i = 0; i < 8; i++) {
			const c = await Client.connect(d.port);
			c.write(request(`/ws?user=slow${i}`).slice(0, 30));
			all.push(c);
		}
		/* Whoever has accepted one of them waits for the rest. */
		await Promise.all([0, 1, 2, 3].map((n) =>
		    d.ctl('restart-worker', String(n))));
		all.forEach((c, i) =>
		    c.write(request(`/ws?user=slow${i}`).slice(30)));
		for (const c of all)
			assert.equal((await c.head()).status, 101);
		await until('all replaced', async () =>
		    (await d.ask('show', 'workers')).every((w) =>
			w.state === 'running'), 10000);
		all[0].text('hello');
		for (const c of all)
			assert.equal(await c.heard(), 'slow0 says: hello');
	});
	test('who connects and says nothing does not keep it', async (d) => {
		for (let i = 0; i < 8; i++)
			await Client.connect(d.port);
		await restart(d, 2);
		await restart(d, 3);
	});
	for (const what of ['4', '-1', 'x', ''])
		test(`no worker "${what}"`, async (d) => {
			const r = await d.ctl('restart-worker', '--', what);
			assert.notEqual(r.status, 0);
			assert.match(r.stderr, /\S/);
		});
});

group('drain', {workers: 4}, (test) => {
	test('1012 at the chosen pace, and back', async (d) => {
		const all = await Promise.all(Array.from({length: 60}, (_, i) =>
		    Client.user(d.port, `u${i}`)));
		const begin = Date.now();
		const ends = all.map((c) => c.closed(1012, 'restarting'));
		const r = await d.ctl('drain', '40');
		assert.deepEqual([r.status, r.stdout],
		    [0, '60 connections are left\n']);
		assert.ok((await d.ask('show', 'workers')).every((w) =>
		    w.state === 'draining'));
		await Promise.all(ends);
		const ms = Date.now() - begin;
		assert.ok(ms > 1000 && ms < 4000 * patience(), `${ms} ms`);
		await until('none left', async () =>
		    (await d.json('drain')).left === 0);
		/* Nobody accepts; then somebody does, and it is served. */
		const late = await Client.connect(d.port);
		late.write(request('/ws?user=late'));
		await d.ctl('restart-worker', '1');
		await until('the next worker', async () => {
			const w = (await d.ask('show', 'workers'))[1];
			return w.generation === 2 && w.state === 'draining';
		});
		await pause(200);
		assert.equal((await d.balance()).reduce((a, b) => a + b), 0);
		assert.equal((await d.ctl('drain', 'off')).status, 0);
		assert.equal((await late.head()).status, 101);
		assert.ok((await d.ask('show', 'workers')).every((w) =>
		    w.state === 'running'));
	});
	test('off ends it half way', async (d) => {
		const all = await Promise.all(Array.from({length: 40}, (_, i) =>
		    Client.user(d.port, `u${i}`)));
		await d.ctl('drain', '20');
		await until('some have gone', async () =>
		    (await d.json('drain')).left < 36);
		await d.ctl('drain', 'off');
		const left = (await d.ask('show', 'connections')).length;
		assert.ok(left > 0 && left < 40);
		await pause(300);
		assert.equal((await d.ask('show', 'connections')).length, left);
		for (const c of all)
			c.drop();
	});
	for (const rate of ['0', '-1', 'x', '1000001'])
		test(`no rate ${rate}`, async (d) => {
			assert.notEqual((await d.ctl('drain', rate)).status, 0);
		});
});

group('workers', {workers: false, conf: 'workers 2\n'}, (test) => {
	test('more of them at a reload, under load', async (d) => {
		const crowd = await crowdOf(d, 40);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		fs.writeFileSync(d.conf, 'workers 5\n');
		assert.equal((await d.ctl('reload')).status, 0);
		await until('five run', async () => {
			const all = await d.ask('show', 'workers');
			return all.length === 5 &&
			    all.every((w) => w.state === 'running');
		});
		await judge(crowd);
		/* The new ones take connections, and hear and are heard. */
		await crowd.joinAll(Array.from({length: 100}, (_, i) =>
		    `n${i}`));
		await crowd.locate();
		assert.equal(new Set([...crowd.people].map((p) =>
		    p.worker)).size, 5);
		crowd.cut();
		crowd.talk([...crowd.people].slice(-SPEAKERS));
		await judge(crowd);
		await crowd.presence();
		await crowd.leave();
		d.descriptors += 2 * 3; /* a link to each, and to its keeper */
	});
});

group('rebalance', {workers: 4}, (test) => {
	test('connections move to an emptier worker, under load', async (d) => {
		const crowd = await crowdOf(d, 60);
		await crowd.locate();
		/* All on two of the workers leave. */
		const leaving = [...crowd.people].filter((p) => p.worker >= 2);
		for (const p of leaving)
			p.ws.terminate();
		await until('they are gone', () =>
		    leaving.every((p) => !crowd.people.has(p)));
		crowd.broken = undefined;
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		assert.equal((await d.ctl('rebalance')).status, 0);
		await until('they are even', async () => {
			const n = (await d.ask('show', 'workers'))
			    .map((w) => w.connections);
			return Math.max(...n) - Math.min(...n) <= 1;
		});
		await judge(crowd);
		await crowd.presence();
		await crowd.leave();
	});
});
