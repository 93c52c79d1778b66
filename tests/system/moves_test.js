/*
 * Planned moves that no client may notice: workers replaced one by one under
 * load, more or fewer workers at a reload; and the one that clients are to
 * notice, at the operator's pace: drain.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {pause, processDescriptors, processLives, servants, until} =
    require('./daemon.js');
const {Client, request} = require('./client.js');
const {Line, TELL} = require('./centrifugo.js');
const {Crowd, patience} = require('../fault/crowd.js');

const CLIENTS = 100;
const SPEAKERS = 12;
const API_KEY = 'a key of the tests, of 32 bytes and more';

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
	await until('all of the old ones have left', () =>
	    [before.pid, ...before.keepers].every((pid) => !processLives(pid)));
	assert.ok((await d.ask('show', 'workers'))[slot].keepers
	    .every((pid) => pid !== 0), 'it has its keepers');
}

group('restart-worker', {workers: 4}, (test) => {
	test('nobody notices, under load', async (d) => {
		const crowd = await Crowd.unbroken(d, CLIENTS);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		for (const slot of [0, 1, 2, 3, 0])
			await restart(d, slot);
		await crowd.judgeAll();
		/* All are new ones; somebody accepts. */
		await crowd.joinAll(['late1', 'late2', 'late3', 'late4']);
		await crowd.presence();
		await d.adoptedAll(5);
		await crowd.leave();
	}, {limit: 60000});
	test('a request that is half there is served all the same', async (d) => {
		const all = [];
		for (let i = 0; i < 8; i++) {
			const c = await Client.connect(d.port);
			c.write(request(`/ws?user=slow${i}`).slice(0, 30));
			all.push(c);
		}
		/* The worker that has accepted one of them waits for the rest;
		 * chatctl itself may take longer than that with sanitizers. */
		const before = d.stderr.length;
		const told = [0, 1, 2, 3].map((n) =>
		    d.ctl('restart-worker', String(n)));
		await until('all restart', () => d.stderr.slice(before)
		    .match(/restarts worker/g)?.length === 4);
		all.forEach((c, i) =>
		    c.write(request(`/ws?user=slow${i}`).slice(30)));
		for (const c of all)
			assert.equal((await c.head()).status, 101);
		await Promise.all(told);
		await until('all replaced', async () =>
		    (await d.ask('show', 'workers')).every((w) =>
			w.state === 'running'), 10000);
		all[0].text('hello');
		for (const c of all)
			assert.equal(await c.heard(), 'slow0 says: hello');
	});
	test('who says nothing, or half of it, does not keep it', async (d) => {
		for (let i = 0; i < 12; i++) {
			const c = await Client.connect(d.port);
			/* with sanitizers: what came of it is no leak */
			if (i % 3 !== 0)
				c.write(request(`/ws?user=slow${i}`).slice(0, 30));
		}
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

/* The status of the answer to a request; nothing is left of it. */
async function asks(d, target) {
	const c = await Client.connect(d.port);
	c.write(request(target));
	const {status} = await c.head();
	c.drop();
	return status;
}

group('drain', {workers: 4, conf: `api-key "${API_KEY}"\n`}, (test) => {
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
		/* A worker that comes meanwhile drains, too. */
		await d.ctl('restart-worker', '1');
		await until('the next worker', async () => {
			const w = (await d.ask('show', 'workers'))[1];
			return w.generation === 2 && w.state === 'draining';
		});
		assert.equal(await asks(d, '/ws?user=late'), 503);
		assert.equal((await d.balance()).reduce((a, b) => a + b), 0);
		assert.equal((await d.ctl('drain', 'off')).status, 0);
		await d.logged(/user \d+ ends the drain/);
		await until('a drain that is over', async () =>
		    await asks(d, '/health') === 200);
		await (await Client.user(d.port, 'late')).close();
		assert.ok((await d.ask('show', 'workers')).every((w) =>
		    w.state === 'running'));
	});
	test('new connections are answered at once; backends go on', async (d) => {
		const c = await Client.user(d.port, 'alice');
		const api = async () => (await fetch(
		    `http://127.0.0.1:${d.port}/api/publish`, {method: 'POST',
			headers: {'x-api-key': API_KEY}, body: JSON.stringify(
			    {channel: 'lobby', data: {text: 'hi'}})})).status;
		assert.equal((await d.ctl('drain', '1')).status, 0);
		/* each of four workers is asked, sooner or later */
		for (let i = 0; i < 12; i++)
			for (const path of ['/ws?user=bob', '/health', '/',
			    '/connection/websocket']) {
				const begin = Date.now();
				assert.equal(await asks(d, path), 503, path);
				assert.ok(Date.now() - begin < 1000 * patience());
			}
		assert.equal(await api(), 200);
		assert.equal(await asks(d, '/nope'), 404);
		assert.equal((await d.ctl('drain', 'off')).status, 0);
		await until('a drain that is over', async () =>
		    await asks(d, '/health') === 200);
		c.drop();
	});
	test('off ends it half way', async (d) => {
		const all = await Promise.all(Array.from({length: 40}, (_, i) =>
		    Client.user(d.port, `u${i}`)));
		for (const c of all) /* they answer the close, as clients do */
			c.closed(1012).catch(() => {});
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
		const crowd = await Crowd.unbroken(d, 40);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		fs.writeFileSync(d.conf, 'workers 5\n');
		assert.equal((await d.ctl('reload')).status, 0);
		await until('five run', async () => {
			const all = await d.ask('show', 'workers');
			return all.length === 5 &&
			    all.every((w) => w.state === 'running');
		});
		await crowd.judgeAll();
		/* The new ones take connections, and hear and are heard. */
		await crowd.joinAll(Array.from({length: 100}, (_, i) =>
		    `n${i}`));
		await crowd.locate();
		assert.equal(new Set([...crowd.people].map((p) =>
		    p.worker)).size, 5);
		crowd.cut();
		crowd.talk([...crowd.people].slice(-SPEAKERS));
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
		d.descriptors += 3 * 3; /* each one's link, its family's link and page */
	});
});

/* Asks for so many workers. */
async function wanted(d, n) {
	fs.writeFileSync(d.conf, `workers ${n}\n`);
	const r = await d.ctl('reload');
	assert.deepEqual([r.status, r.stderr], [0, '']);
}

/* So many workers run, each with its keepers, and no other process is there. */
async function run(d, n) {
	await until(`${n} run`, async () => {
		const all = await d.ask('show', 'workers');
		return all.length === n &&
		    all.every((w) => w.state === 'running' &&
		    w.keepers.every((pid) => pid !== 0)) &&
		    d.ask('show', 'stats').then((s) => s.workers === n);
	}, 20000);
	const all = await d.ask('show', 'workers');
	await until('no other process', () =>
	    servants(d.pid).length === 3 * n);
	assert.deepEqual(servants(d.pid).sort(),
	    all.flatMap((w) => [w.pid, ...w.keepers]).sort());
	return all;
}

group('fewer workers', {workers: false, conf: 'workers 4\n'}, (test) => {
	test('and more again, under load', async (d) => {
		await wanted(d, 4);
		const before = await run(d, 4);
		const crowd = await Crowd.unbroken(d, 60);
		const bare = processDescriptors(before[0].pid) -
		    (await d.ask('show', 'workers'))[0].connections;
		let flickers = 0, seen = 0;
		const watch = setInterval(() => d.json('show', 'users')
		    .then((users) => {
			seen++;
			flickers += users.length !== 60;
		}, () => {}), 50);
		for (const n of [2, 4]) {
			crowd.cut();
			crowd.talk([...crowd.people].slice(0, SPEAKERS));
			await wanted(d, n);
			await run(d, n);
			await pause(300);
			await crowd.judgeAll();
			await crowd.presence();
			if (n < 4) {
				const counts = await d.balance();
				assert.equal(counts.length, n);
				assert.equal(counts.reduce((a, b) => a + b), 60);
			}
		}
		clearInterval(watch);
		assert.ok(seen > 5);
		assert.equal(flickers, 0);
		await until('even', async () => {
			const r = await d.ctl('rebalance');
			return r.stdout === '0 connections move\n';
		});
		const after = await run(d, 4);
		assert.equal(after[0].pid, before[0].pid);
		await until('the same descriptors', () =>
		    d.ask('show', 'workers').then(([w]) => bare ===
			processDescriptors(w.pid) - w.connections));
		await crowd.joinAll(Array.from({length: 60}, (_, i) => `n${i}`));
		await crowd.locate();
		assert.equal(new Set([...crowd.people].map((p) =>
		    p.worker)).size, 4);
		crowd.cut();
		crowd.talk([...crowd.people].slice(-SPEAKERS));
		await crowd.judgeAll();
		await crowd.presence();
		await until('both that left gave all', () => [...d.stderr.matchAll(
		    /adopted \d+ connections of worker [23], 0 stay/g)]
		    .length >= 2);
		await crowd.leave();
	}, {limit: 60000});
	test('another number before the last is reached', async (d) => {
		const crowd = await Crowd.unbroken(d, 60);
		crowd.cut();
		crowd.talk([...crowd.people].slice(0, SPEAKERS));
		for (const n of [1, 3, 2, 4, 1, 4, 2, 3, 1, 5, 2, 4]) {
			await wanted(d, n);
			await pause(Math.random() * 300);
		}
		await run(d, 4);
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
	}, {limit: 60000});
	test('somebody is killed meanwhile', async (d) => {
		const crowd = await Crowd.unbroken(d, 60);
		for (const slot of [0, 1, 3]) {
			const all = await run(d, 4);
			crowd.cut();
			crowd.talk([...crowd.people].slice(0, SPEAKERS));
			await wanted(d, 2);
			await pause(Math.random() * 150);
			try {
				process.kill(all[slot].pid, 'SIGKILL');
			} catch {
				/* it has left */
			}
			await run(d, 2);
			await crowd.judgeAll();
			await crowd.presence();
			await wanted(d, 4);
		}
		await run(d, 4);
		await crowd.leave();
	}, {limit: 90000});
	test('who restarts one that leaves is told so', async (d) => {
		const last = (await run(d, 4))[3];
		process.kill(last.pid, 'SIGSTOP');
		await wanted(d, 3);
		await until('it is told to leave', async () =>
		    (await d.ask('show', 'workers'))[3].state === 'stopping');
		const told = d.ctl('restart-worker', '3');
		await d.logged(/restarts worker 3/);
		process.kill(last.pid, 'SIGCONT');
		const r = await told;
		assert.notEqual(r.status, 0);
		assert.match(r.stderr, /it has left/);
		await run(d, 3);
		await wanted(d, 4);
		await run(d, 4);
	});
	test('no upgrade meanwhile', async (d) => {
		/* Who has half a request keeps the worker for a second. */
		const all = [];
		for (let i = 0; i < 12; i++) {
			const c = await Client.connect(d.port);
			c.write(request(`/ws?user=slow${i}`).slice(0, 30));
			all.push(c);
		}
		await wanted(d, 3);
		const r = await d.ctl('upgrade');
		assert.notEqual(r.status, 0);
		assert.match(r.stderr, /workers are leaving/);
		all.forEach((c, i) =>
		    c.write(request(`/ws?user=slow${i}`).slice(30)));
		for (const c of all)
			assert.equal((await c.head()).status, 101);
		await run(d, 3);
		all[0].text('hello');
		for (const c of all)
			assert.equal(await c.heard(), 'slow0 says: hello');
		await wanted(d, 4);
		await run(d, 4);
		for (const c of all)
			c.drop();
	});
});

group('fewer workers, rooms', {workers: false, conf: `workers 4
${TELL}`}, (test) => {
	test('nobody is said to have left', async (d) => {
		const conf = fs.readFileSync(d.conf, 'utf8');
		const lines = [];
		for (let i = 0; i < 12; i++) {
			const l = await Line.connected(d, `?user=u${i}`);
			await l.ask('subscribe', {channel: 'tell'});
			lines.push(l);
		}
		/* Each hears itself come, and those after it. */
		for (const [i, l] of lines.entries())
			for (let k = i; k < lines.length; k++)
				assert.equal((await l.push()).join.info.user,
				    `u${k}`);
		for (const n of [1, 4]) {
			fs.writeFileSync(d.conf,
			    conf.replace('workers 4', `workers ${n}`));
			assert.equal((await d.ctl('reload')).status, 0);
			await run(d, n);
			await lines[0].ask('publish', {channel: 'tell', data: n});
			for (const l of lines)
				assert.equal((await l.push()).pub?.data, n);
		}
		const {presence} = await lines[0].ask('presence',
		    {channel: 'tell'});
		assert.equal(Object.keys(presence.presence).length, 12);
		for (const l of lines)
			l.client.drop();
	});
});

group('rebalance', {workers: 4}, (test) => {
	test('connections move to an emptier worker, under load', async (d) => {
		const crowd = await Crowd.unbroken(d, 60);
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
		await crowd.judgeAll();
		await crowd.presence();
		await crowd.leave();
	});
});
