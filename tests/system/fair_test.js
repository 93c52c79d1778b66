/*
 * A fair share: who sends much at once is served a part of it a turn, the
 * others go first, and nothing of it is lost or comes twice. What is seen is an
 * order, not a time.
 */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {until} = require('./daemon.js');
const {Client, OP, frame} = require('./client.js');
const {Line} = require('./centrifugo.js');

const MUCH = 100;    /* commands at once */
const LINES = 30, LINE = 'x'.repeat(2500); /* more than a share in one answer */
const MEMBERS = 300; /* of a room whose counts are kept for a moment */

/* A room whose history is long. */
async function longRoom(line, room) {
	assert.ok((await line.ask('subscribe', {channel: room})).subscribe);
	for (let i = 0; i < LINES; i++)
		assert.ok((await line.ask('publish', {channel: room,
		    data: {text: LINE}})).publish);
	line.pushes = [];
	assert.ok((await line.ask('unsubscribe', {channel: room})).unsubscribe);
}

/* A frame of commands that each have a long answer. */
function much(line, room, n = MUCH) {
	return Array.from({length: n}, () => ({id: ++line.id,
	    history: {channel: room, limit: LINES}}));
}

/* The answers to the commands from number `from` on: each one, in order. */
async function answers(line, from) {
	for (let id = from; id <= line.id; ) {
		const reply = await line.hear();
		if (reply.push)
			continue;
		assert.equal(reply.id, id);
		assert.equal(reply.error, undefined);
		id++;
	}
}

group('one worker', {workers: 1, conf: 'queue 128M\n'}, (test) => {
	test('commands of one frame: another client goes first', async (d) => {
		const greedy = await Line.connected(d, '?user=greedy');
		const bob = await Line.connected(d, '?user=bob');
		await longRoom(greedy, 'long');
		for (const line of [greedy, bob])
			await line.ask('subscribe', {channel: 'order'});
		const from = greedy.id + 1;
		const say = (data) => ({id: ++greedy.id,
		    publish: {channel: 'order', data}});
		greedy.say(say('first'), ...much(greedy, 'long', 4 * MUCH),
		    say('last'));
		const all = answers(greedy, from);
		all.catch(() => {}); /* is awaited below */
		assert.equal((await bob.push()).pub.data, 'first');
		await bob.ask('publish', {channel: 'order', data: 'bob'});
		const heard = [await bob.push(), await bob.push()]
		    .map((p) => p.pub.data);
		assert.deepEqual(heard, ['bob', 'last']);
		await all;
	});

	test('frames of one read: another client goes first', async (d) => {
		const line = await Line.connected(d);
		await longRoom(line, 'plain');
		const greedy = await Client.user(d.port, 'greedy');
		const bob = await Client.user(d.port, 'bob');
		const say = (text) => frame(OP.TEXT, text);
		greedy.write(Buffer.concat([say('first'),
		    ...Array.from({length: MUCH}, () =>
			say(`/history plain ${LINES}`)), say('last')]));
		assert.equal(await bob.heard(), 'greedy says: first');
		bob.text('I say');
		assert.equal(await bob.heard(), 'bob says: I say');
		assert.equal(await bob.heard(), 'greedy says: last');
		let histories = 0;
		for (let text = ''; text !== 'greedy says: last';
		    text = await greedy.heard())
			histories += text.startsWith('* history of plain');
		assert.equal(histories, MUCH);
	});

	test('its worker dies meanwhile: each answer comes once', async (d) => {
		const line = await Line.connected(d);
		await longRoom(line, 'death');
		const [worker] = await d.json('show', 'workers');
		const from = line.id + 1;
		line.say(...much(line, 'death', 4 * MUCH));
		assert.equal((await line.hear()).id, from);
		process.kill(worker.pid, 'SIGKILL');
		await answers(line, from + 1);
		await line.client.quiet();
	});

	test('drained meanwhile: what was begun is answered', async (d) => {
		const line = await Line.connected(d);
		await longRoom(line, 'drain');
		const from = line.id + 1;
		for (let i = 0; i < 20; i++)
			line.say(...much(line, 'drain', 40));
		let n = 0;
		const end = (async () => {
			for (;;) {
				const f = await line.client.frame();
				if (f.opcode === OP.CLOSE)
					return f.payload.readUInt16BE(0);
				assert.match(f.payload.toString('latin1', 0, 20),
				    new RegExp(`^{"id":${from + n},`));
				n++;
			}
		})();
		await until('the first answer', () => n > 0);
		assert.equal((await d.ctl('drain', '10000')).status, 0);
		assert.equal(await end, 3001);
		assert.equal(n % 40, 0, `${n} answers`);
		assert.equal((await d.ctl('drain', 'off')).status, 0);
	});
});

/* Members of a room, of ten users. */
async function members(d, channel) {
	const all = [];
	for (let i = 0; i < MEMBERS; i++) {
		const l = await Line.connected(d, `?user=u${i % 10}`);
		await l.ask('subscribe', {channel});
		all.push(l);
	}
	return all;
}

group('a large room', {workers: 1}, (test) => {
	test('who is there: all of them, each time', async (d) => {
		const all = await members(d, 'large');
		const list = async () => (await all[0].ask('presence',
		    {channel: 'large'})).presence.presence;
		const ids = all.map((l) => l.welcome.connect.client).sort();
		for (let i = 0; i < 3; i++)
			assert.deepEqual(Object.keys(await list()).sort(), ids);
		const leaver = all.pop();
		leaver.client.drop();
		await until('one has left', async () =>
		    !(leaver.welcome.connect.client in await list()));
		ids.splice(ids.indexOf(leaver.welcome.connect.client), 1);
		assert.deepEqual(Object.keys(await list()).sort(), ids);
		await all[0].ask('subscribe', {channel: 'other'});
		const other = await all[0].ask('presence', {channel: 'other'});
		assert.equal(Object.keys(other.presence.presence).length, 1);
	});
});

group('a larger room', {workers: 1, conf: 'queue 16K\n'}, (test) => {
	test('who is there: too many to be told', async (d) => {
		const all = await members(d, 'large');
		const stats = async () => (await all[0].ask('presence_stats',
		    {channel: 'large'})).presence_stats;
		assert.deepEqual(await stats(),
		    {num_clients: MEMBERS, num_users: 10});
		for (let i = 0; i < 3; i++)
			await all[0].refused('presence', {channel: 'large'}, 106,
			    'limit exceeded');
		const more = await Line.connected(d, '?user=more');
		await more.ask('subscribe', {channel: 'large'});
		await until('one more is counted', async () =>
		    (await stats()).num_clients === MEMBERS + 1);
		assert.equal((await stats()).num_users, 11);
	});
});
