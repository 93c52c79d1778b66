/* Rooms at the plain door, and what its rules allow. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {Client} = require('./client.js');
const {Line} = require('./centrifugo.js');

/* Opens one connection for each name. */
function users(d, ...names) {
	return Promise.all(names.map((name) => Client.user(d.port, name)));
}

/* Says lines and hears their answers, one for each. */
async function talk(c, lines) {
	for (const [line, answer] of Object.entries(lines)) {
		c.text(line);
		assert.equal(await c.heard(), answer, line);
	}
	await c.quiet();
}

group('rooms', {}, (test) => {
	test('join, talk, leave', async (d) => {
		const [alice, bob, carol] = await users(d, 'alice', 'bob', 'carol');
		await talk(alice, {
			'/rooms': '* you are in lobby',
			'/join general': '* joined general',
			'/join  general': '* usage: /join ROOM',
			'/join "general"': '* you are in general already',
			'/join "two words"': '* joined "two words"',
			'/join lobby': '* you are in lobby already'
		});
		alice.text('/rooms');
		assert.match(await alice.heard(),
		    /^\* you are in lobby, (general, "two words"|"two words", general)$/);
		await talk(bob, {
			'/to general hi': '* you are not in general',
			'/leave general': '* you are not in general',
			'/leave lobby': '* everybody here is in the lobby',
			'/join general': '* joined general'
		});
		bob.text('/to general hi there');
		assert.equal(await alice.heard(), '[general] bob says: hi there');
		assert.equal(await bob.heard(), '[general] bob says: hi there');
		alice.text('/to "two words" x');
		assert.equal(await alice.heard(), '["two words"] alice says: x');
		alice.text('/to lobby all');
		for (const c of [alice, bob, carol])
			assert.equal(await c.heard(), 'alice says: all');
		await talk(alice, {'/leave general': '* left general'});
		bob.text('/to general alone');
		assert.equal(await bob.heard(), '[general] bob says: alone');
		for (const c of [alice, bob, carol])
			await c.quiet();
	});

	test('what is wrong', async (d) => {
		const [c] = await users(d, 'alice');
		await talk(c, {
			'/join': '* usage: /join ROOM',
			'/join a b': '* usage: /join ROOM',
			'/join #bob': '* #bob is not a room',
			'/leave': '* usage: /leave ROOM',
			'/to': '* usage: /to ROOM TEXT',
			'/to general': '* usage: /to ROOM TEXT',
			'/to #bob hi': '* #bob is not a room',
			'/history': '* usage: /history ROOM [1 to 1000 [BEFORE]]',
			'/history x 0': '* usage: /history ROOM [1 to 1000 [BEFORE]]',
			'/history x y': '* usage: /history ROOM [1 to 1000 [BEFORE]]',
			'/history #bob': '* #bob keeps no history',
			'/history nowhere': '* nothing was said in nowhere'
		});
		const name = 'x'.repeat(256);
		c.text('/join ' + name);
		assert.equal(await c.heard(),
		    `* ${'x'.repeat(255)} is not a room`);
	});

	test('history', async (d) => {
		const [alice, bob] = await users(d, 'alice', 'bob');
		await talk(alice, {'/join h': '* joined h'});
		for (let i = 1; i <= 12; i++) {
			alice.text(`/to h m${i}`);
			await alice.heard();
		}
		await talk(bob, {
			'/history h 2': '* history of h, older ones: /history h ' +
			    '2 11\n* [h] alice says: m11\n* [h] alice says: m12'
		});
		bob.text('/history h');
		assert.equal((await bob.heard()).split('\n').length, 11);
		bob.text('/history h 100');
		assert.equal((await bob.heard()).split('\n').length, 13);
	});

	test('too many rooms, and room again', async (d) => {
		const [c] = await users(d, 'alice');
		for (let i = 0; i < 128; i++) {
			c.text(`/join r${i}`);
			assert.equal(await c.heard(), `* joined r${i}`);
		}
		await talk(c, {
			'/join one': '* you are in too many rooms to join one',
			'/leave r7': '* left r7'
		});
		await talk(c, {'/join one': '* joined one'});
	});

	test('a private message to nobody is not kept', async (d) => {
		const [alice, bob] = await users(d, 'alice', 'bob');
		bob.drop();
		let who; /* a message that reaches bob would not be answered */
		do {
			alice.text('/who');
			who = await alice.heard();
		} while (/bob/.test(who));
		alice.text('/msg bob lost');
		assert.equal(await alice.heard(), '* bob is not connected');
		const l = await Line.connected(d, '?user=bob');
		await l.client.quiet();
	});

	test('rooms reach workers and doors alike', async (d) => {
		const names = Array.from({length: 12}, (_, i) => `u${i}`);
		const all = await users(d, ...names);
		for (const c of all)
			await talk(c, {'/join far': '* joined far'});
		const l = await Line.connected(d, '?user=sdk');
		await l.ask('subscribe', {channel: 'far'});
		await l.ask('publish', {channel: 'far', data: {text: 'hi'}});
		await l.ask('publish', {channel: 'far',
		    data: {text: 'a', more: 1}});
		for (const c of all) {
			assert.equal(await c.heard(), '[far] sdk says: hi');
			assert.equal(await c.heard(),
			    '[far] sdk says: {"text":"a","more":1}');
		}
		all[5].text('/to far "quoted"\t\u{1f600}');
		let push;
		do
			push = await l.push();
		while (push.pub.info.user !== 'u5');
		assert.deepEqual(push.pub.data, {text: '"quoted"\t\u{1f600}'});
		const {presence_stats} = await l.ask('presence_stats',
		    {channel: 'far'});
		assert.deepEqual(presence_stats, {num_clients: 13, num_users: 13});
	});
});

group('rules', {conf: `
channel "lobby" {
	subscribe all
	publish none
	presence yes
	join-leave yes
}
channel "shut" {
	subscribe none
	publish all
}
channel "token:*" {
	subscribe token
	publish none
}
channel "tell" {
	subscribe users
	publish subscribers
	presence yes
	join-leave yes
}
`}, (test) => {
	test('they hold at the plain door', async (d) => {
		const [alice] = await users(d, 'alice');
		await talk(alice, {
			'hello': '* you may not write to lobby',
			'/join shut': '* you may not join shut',
			'/join token:1': '* joined token:1',
			'/to token:1 x': '* you may not write to token:1',
			'/join other': '* there is no room other',
			'/to other x': '* there is no room other',
			'/history tell': '* tell keeps no history'
		});
		alice.text('/to shut x');
		await alice.quiet();
	});

	test('joins and leaves are told at the other door', async (d) => {
		const l = await Line.connected(d, '?user=watch');
		await l.ask('subscribe', {channel: 'lobby'});
		await l.ask('subscribe', {channel: 'tell'});
		await l.push();
		await l.push();
		const [alice] = await users(d, 'alice');
		let push = await l.push();
		assert.equal(push.channel, 'lobby');
		assert.equal(push.join.info.user, 'alice');
		await talk(alice, {'/join tell': '* joined tell'});
		push = await l.push();
		assert.equal(push.join.info.user, 'alice');
		alice.drop();
		const left = [await l.push(), await l.push()];
		assert.deepEqual(left.map((p) => p.channel).sort(),
		    ['lobby', 'tell']);
		for (const p of left)
			assert.equal(p.leave.info.user, 'alice');
	});
});
