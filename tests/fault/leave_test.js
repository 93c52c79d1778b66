/*
 * A client that ends its connection while no worker sees it has left, whether
 * it closes the connection or resets it.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const {group} = require('../system/suite.js');
const {Client} = require('../system/client.js');
const {Line} = require('../system/centrifugo.js');
const {successors, until} = require('./crowd.js');

const CONF = `watchdog 500ms
channel "lobby" {
	subscribe all
	publish all
	join-leave yes
	presence yes
}
`;

/* Which worker has a user's connection. */
async function workerOf(d, user) {
	return (await d.json('show', 'connections'))
	    .find((c) => c.user === user)?.worker;
}

/* Ends a worker by its own fault; resolves when another one is there. */
async function crash(d, slot) {
	const before = await d.json('show', 'workers');
	process.kill(before[slot].pid, 'SIGSEGV');
	await successors(d, [slot], before);
}

/* All the users leave while their worker stands still, before it is killed by
 * `kill`; somebody at another worker is to hear it of each, once. */
async function gone(d, how, kill) {
	const watcher = await Line.connected(d, `?user=watcher_${how}`);
	await watcher.ask('subscribe', {channel: 'lobby'});
	const there = 1 - await workerOf(d, `watcher_${how}`);
	const goers = new Map();
	for (let i = 0; goers.size < 4 && i < 64; i++) {
		const name = `${how}${i}`;
		const plain = i % 2 === 1;
		const one = plain ? await Client.user(d.port, name)
		    : await Line.connected(d, `?user=${name}`);
		if (!plain)
			await one.ask('subscribe', {channel: 'lobby'});
		if (await workerOf(d, name) === there)
			goers.set(name, plain ? one : one.client);
	}
	assert.equal(goers.size, 4);
	await kill(there, () => {
		for (const c of goers.values())
			if (how === 'closed')
				c.socket.end();
			else
				c.socket.resetAndDestroy();
	});
	const left = new Set();
	while (left.size < goers.size) {
		const push = await watcher.push();
		const user = push.leave?.info.user;
		if (user && goers.has(user)) {
			assert.ok(!left.has(user), `${user} left twice`);
			left.add(user);
		}
	}
	await until('presence is true', async () =>
	    Object.values((await watcher.ask('presence',
		{channel: 'lobby'})).presence.presence)
		.every((c) => !goers.has(c.user)));
	await until('the users are gone', async () =>
	    (await d.json('show', 'users')).every((u) => !goers.has(u.user)));
}

for (const how of ['closed', 'reset'])
	group(`${how} meanwhile`, {conf: CONF, workers: 2}, (test) => {
		test('the next worker tells', (d) =>
		    gone(d, how, async (there, end) => {
			const before = await d.json('show', 'workers');
			process.kill(before[there].pid, 'SIGSTOP');
			end();
			await successors(d, [there], before);
		    }), {limit: 20000});
	});

for (const how of ['closed', 'reset'])
	group(`${how} meanwhile, back-off`, {conf: CONF, workers: 2}, (test) => {
		test('the living worker tells', (d) =>
		    gone(d, how, async (there, end) => {
			await crash(d, there);
			await crash(d, there);
			const {pid} = (await d.json('show', 'workers'))[there];
			process.kill(pid, 'SIGSTOP');
			end();
			process.kill(pid, 'SIGSEGV');
			process.kill(pid, 'SIGCONT');
			await until('back-off', async () =>
			    (await d.json('show', 'workers'))[there].state ===
			    'waiting');
		    }), {limit: 20000});
	});
