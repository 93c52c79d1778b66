/*
 * A user's own channel, "#name": a block "#*" is obeyed in each of its rules;
 * and who may send private messages and see who is here.
 */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {Client} = require('./client.js');
const {until} = require('./daemon.js');
const {Line, TOKENS, token} = require('./centrifugo.js');

/* A daemon whose block "#*" has these rules. */
function rules(name, lines, declare) {
	group(name, {conf: 'api-key "k"\nchannel "*" {\n\tsubscribe all\n}\n' +
	    'channel "#*" {\n' + lines.map((l) => `\t${l}\n`).join('') +
	    '}\n'}, declare);
}

rules('publish subscribers', ['publish subscribers'], (test) => {
	test('its user may, others may not', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		const b = await Line.connected(d, '?user=alice');
		const c = await Line.connected(d, '?user=carol');
		const n = await Line.connected(d);
		assert.ok((await a.ask('publish', {channel: '#alice', data: 1}))
		    .publish);
		for (const l of [a, b]) {
			const push = await l.push();
			assert.equal(push.channel, '#alice');
			assert.equal(push.pub.info.user, 'alice');
		}
		for (const l of [c, n])
			await l.refused('publish', {channel: '#alice', data: 1},
			    103);
	});
});

rules('publish none', [], (test) => {
	test('nobody may', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		await a.refused('publish', {channel: '#alice', data: 1}, 103);
		await a.refused('presence', {channel: '#alice'}, 108);
		await a.refused('history', {channel: '#alice'}, 108);
		await a.refused('subscribe', {channel: '#alice'}, 105);
		assert.deepEqual(a.welcome.connect.subs['#alice'], {});
	});
});

rules('publish all', ['publish all'], (test) => {
	test('everybody may', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		const n = await Line.connected(d);
		assert.ok((await n.ask('publish', {channel: '#alice', data: 1}))
		    .publish);
		assert.equal((await a.push()).pub.data, 1);
	});
});

rules('history and recovery', ['publish subscribers', 'history 5',
    'recovery yes'], (test) => {
	test('its user gets what was missed', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		const {epoch} = a.welcome.connect.subs['#alice'];
		for (let i = 1; i <= 7; i++)
			await a.ask('publish', {channel: '#alice', data: i});
		const {history} = await a.ask('history', {channel: '#alice',
		    limit: -1});
		assert.deepEqual(history.publications.map((p) => p.data),
		    [3, 4, 5, 6, 7]);
		const b = await Line.connected(d, '?user=alice', {subs:
		    {'#alice': {recover: true, epoch, offset: 4}}});
		const own = b.welcome.connect.subs['#alice'];
		assert.equal(own.recovered, true);
		assert.deepEqual(own.publications.map((p) => p.data), [5, 6, 7]);
		const c = await Line.connected(d, '?user=alice', {subs:
		    {'#alice': {recover: true, epoch, offset: 1}}});
		assert.equal(c.welcome.connect.subs['#alice'].recovered,
		    undefined);
	});
});

rules('presence', ['presence yes'], (test) => {
	test('its user\'s connections, at any door', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		const b = await Line.connected(d, '?user=alice');
		await Line.connected(d, '?user=bob');
		const {presence} = (await a.ask('presence', {channel: '#alice'}))
		    .presence;
		assert.deepEqual(Object.keys(presence).sort(),
		    [a, b].map((l) => l.welcome.connect.client).sort());
		await Client.user(d.port, 'alice');
		assert.deepEqual((await a.ask('presence_stats',
		    {channel: '#alice'})).presence_stats,
		    {num_clients: 3, num_users: 1});
	});
});

rules('join-leave', ['join-leave yes', 'publish subscribers'], (test) => {
	const info = (l) => ({user: 'alice', client: l.welcome.connect.client});

	test('each connection is told once, both times', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		assert.deepEqual(await a.push(), {channel: '#alice',
		    join: {info: info(a)}});
		const b = await Line.connected(d, '?user=alice');
		assert.deepEqual(await a.push(), {channel: '#alice',
		    join: {info: info(b)}});
		await Line.connected(d, '?user=bob');
		b.client.drop();
		assert.deepEqual(await a.push(), {channel: '#alice',
		    leave: {info: info(b)}});
		/* publications are as before, and offsets theirs alone */
		await a.ask('publish', {channel: '#alice', data: 1});
		assert.equal((await a.push()).pub.data, 1);
		await a.client.quiet();
	});

	test('one at the plain door, too', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		await a.push();
		const p = await Client.user(d.port, 'alice');
		assert.equal((await a.push()).join.info.user, 'alice');
		await p.quiet();
		await p.close();
		assert.equal((await a.push()).leave.info.user, 'alice');
	});

	test('workers die: no leave, no second join', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		await a.push();
		const b = await Line.connected(d, '?user=alice');
		await a.push();
		for (const w of await d.json('show', 'workers'))
			process.kill(w.pid, 'SIGKILL');
		await a.ask('publish', {channel: '#alice', data: 1});
		assert.equal((await a.push()).pub.data, 1);
		b.client.drop();
		assert.deepEqual(await a.push(), {channel: '#alice',
		    leave: {info: info(b)}});
	});
});

rules('no join-leave', ['presence yes'], (test) => {
	test('nobody is told', async (d) => {
		const a = await Line.connected(d, '?user=alice');
		const b = await Line.connected(d, '?user=alice');
		b.client.drop();
		await until('b is gone', async () => (await a.ask('presence_stats',
		    {channel: '#alice'})).presence_stats.num_clients === 1);
		await a.client.quiet();
		assert.deepEqual(a.pushes, []);
	});
});

/* Whether private messages and the list of users are to be had. */
async function may(l) {
	const message = await l.ask('rpc', {method: 'message',
	    data: {to: 'alice', data: 1}});
	const who = await l.ask('rpc', {method: 'who'});
	return [message.error?.code ?? 0, who.error?.code ?? 0];
}

const rooms = 'channel "*" {\n\tsubscribe all\n\tpresence yes\n}\n';
const expected = {
	'': [[0, 0], [103, 103]],
	'private users\nwho users\n': [[0, 0], [103, 103]],
	'private all\n': [[0, 0], [0, 103]],
	'who all\n': [[0, 0], [103, 0]],
	'private none\n': [[103, 0], [103, 103]],
	'who none\n': [[0, 103], [103, 103]],
	'private all\nwho none\n': [[0, 103], [0, 103]]
};
for (const [conf, [user, nobody]] of Object.entries(expected))
	group(`"${conf.replace(/\n/g, ' ').trim()}"`, {conf: conf + rooms},
	    (test) => {
		test('users and others', async (d) => {
			const a = await Line.connected(d, '?user=alice');
			assert.deepEqual(await may(a), user);
			const n = await Line.connected(d);
			assert.deepEqual(await may(n), nobody);
		});

		test('presence, from outside and from inside', async (d) => {
			const a = await Line.connected(d, '?user=alice');
			const n = await Line.connected(d);
			const code = async (l) => (await l.ask('presence',
			    {channel: 'room'})).error?.code ?? 0;
			assert.equal(await code(a), user[1]);
			assert.equal(await code(n), nobody[1]);
			assert.ok((await n.ask('presence_stats',
			    {channel: 'room'})).presence_stats);
			await n.ask('subscribe', {channel: 'room'});
			assert.equal(await code(n), 0);
		});

		test('the plain door, whose clients have names', async (d) => {
			const c = await Client.user(d.port, 'bob');
			c.text('/who');
			assert.equal(await c.heard(), user[1] ?
			    '* who is here is not told' : '* 1 user: bob');
			c.text('/msg bob hi');
			assert.equal(await c.heard(), user[0] ?
			    '* no private messages are sent here' :
			    'bob whispers: hi');
		});
	});

group('with tokens', {conf: TOKENS}, (test) => {
	test('an anonymous client sees and tells nobody', async (d) => {
		const a = await Line.connected(d, '', {token:
		    token({sub: 'alice'})});
		const n = await Line.connected(d, '', {token: token({})});
		assert.deepEqual(await may(n), [103, 103]);
		assert.deepEqual(await may(a), [0, 0]);
		assert.equal((await a.push()).pub.info.user, 'alice');
	});

	test('a reload changes it', async (d) => {
		const fs = require('node:fs');
		const a = await Line.connected(d, '', {token:
		    token({sub: 'alice'})});
		fs.writeFileSync(d.conf, TOKENS + 'who none\nprivate none\n');
		assert.equal((await d.ctl('reload')).status, 0);
		await until('refused', async () => (await a.ask('rpc',
		    {method: 'who'})).error?.code === 103);
		assert.deepEqual(await may(a), [103, 103]);
	});
});
