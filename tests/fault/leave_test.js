/*
 * Who ends his connection while its worker is not there to see it has left:
 * whether he closes it, or it is reset.
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

/* Users of the lobby by the worker that has them. */
async function workersOf(d, names) {
	const all = await d.json('show', 'connections');
	return new Map(names.map((name) =>
	    [name, all.find((c) => c.user === name)?.worker]));
}

group('gone meanwhile', {conf: CONF, workers: 2}, (test) => {
	for (const [how, end] of [['closed', (s) => s.end()],
	    ['reset', (s) => s.resetAndDestroy()]])
		test(`${how}: a leave for each, presence is true`, async (d) => {
			const watcher = await Line.connected(d, '?user=watcher');
			await watcher.ask('subscribe', {channel: 'lobby'});
			const here = (await workersOf(d, ['watcher'])).get('watcher');
			const there = 1 - here;
			const goers = new Map();
			for (let i = 0; goers.size < 4 && i < 64; i++) {
				const name = `${how}${i}`;
				const plain = i % 2 === 1;
				const one = plain
				    ? await Client.user(d.port, name)
				    : await Line.connected(d, `?user=${name}`);
				if (!plain)
					await one.ask('subscribe', {channel: 'lobby'});
				if ((await workersOf(d, [name])).get(name) === there)
					goers.set(name, plain ? one : one.client);
			}
			assert.equal(goers.size, 4);
			const before = await d.json('show', 'workers');
			process.kill(before[there].pid, 'SIGSTOP');
			for (const c of goers.values())
				end(c.socket);
			await successors(d, [there], before);
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
		}, {limit: 20000});
});
