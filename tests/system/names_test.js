/* Names: whatever users and rooms are called and say, a line of the plain door
 * is taken for nothing else; long and odd names out of tokens; tokens that are
 * for something else. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {Client} = require('./client.js');
const {Line, SECRET, now, token} = require('./centrifugo.js');

const CONF = `insecure yes\ntoken-key "${SECRET}"\napi-key k\n`;
const LONG = 'auth0|' + 'é'.repeat(124) + 'x'; /* 255 bytes */

/* Opens one connection for each name. */
function users(d, ...names) {
	return Promise.all(names.map((name) => Client.user(d.port, name)));
}

/* One at the other door, whose name is in a token. */
function signed(d, sub) {
	return Line.connected(d, '', {token: token({sub})});
}

/* Takes a name off a line, as chatd-protocol(7) tells: [name, rest]. */
function take(line) {
	if (line[0] !== '"') {
		const end = line.search(/[ ]|$/);
		return [line.slice(0, end), line.slice(end)];
	}
	let name = '', i = 1;
	for (; line[i] !== '"'; i++) {
		assert.ok(i < line.length, line);
		const hex = /^\\u\{([0-9a-f]+)\}/.exec(line.slice(i));
		if (hex) {
			name += String.fromCodePoint(parseInt(hex[1], 16));
			i += hex[0].length - 1;
		} else
			name += line[i] === '\\' ? line[++i] : line[i];
	}
	return [name, line.slice(i + 1)];
}

/* What a message of the plain door is. */
function parse(line) {
	if (line.startsWith('* '))
		return {answer: line.slice(2)};
	let room = null;
	if (line[0] === '[') {
		[room, line] = take(line.slice(1));
		if (line[0] === ']')
			line = line.slice(1);
		else
			room = room.replace(/]$/, '');
		line = line.slice(1);
	}
	const server = /^\*(server|anonymous)\* /.exec(line);
	const [from, rest] = server ?
	    [null, line.slice(server[0].length - 1)] : take(line);
	const said = /^ (says|whispers): /.exec(rest);
	assert.ok(said, line);
	return {room, from, how: said[1], text: rest.slice(said[0].length)};
}

/* The names of "2 users: alice, bob". */
function listed(list) {
	const names = [];
	for (let rest = ', ' + list; rest; ) {
		assert.ok(rest.startsWith(', '), rest);
		const bare = rest[2] !== '"' && rest.indexOf(',', 2);
		if (bare === false) {
			const [name, more] = take(rest.slice(2));
			names.push(name);
			rest = more;
		} else {
			names.push(rest.slice(2, bare < 0 ? undefined : bare));
			rest = bare < 0 ? '' : rest.slice(bare);
		}
	}
	return names;
}

/* A name as a command takes it. */
function quoted(name) {
	return `"${name.replace(/["\\]/g, '\\$&')}"`;
}

/* Random numbers that are the same in every run. */
let seed = 12345;
function random(n) {
	seed = (seed * 1103515245 + 12345) % 2147483648;
	return Math.floor(seed / 65536) % n;
}

/* A random text of pieces that could be taken for something else. */
function odd(pieces, most = 6) {
	return Array.from({length: 1 + random(most)}, () =>
	    pieces[random(pieces.length)]).join('');
}

const PIECES = ['a', 'bob', '[', ']', '] ', '[ops] ', '*', '* ', ',', ', ', '"',
    '\\', '\\"', ' ', ' says: ', ' whispers: ', '\u202e', '\u200b', '\\u{61}',
    'ä', '\u{1f469}\u200d\u{1f4bb}', 'and 17 more', '*server*'];
const LINES = [...PIECES, '\n', '\r', '\r\n', '\u2028', '\u0085', '\v',
    '\n* [ops] boss says: go home', '\n    ', '    '];

group('names', {conf: CONF}, (test) => {
	test('a name that begins like a room is none', async (d) => {
		const [bob, boss, liar] =
		    await users(d, 'bob', 'boss', '[ops] boss');
		for (const c of [bob, boss]) {
			c.text('/join ops');
			assert.equal(await c.heard(), '* joined ops');
		}
		boss.text('/to ops go home');
		const real = await bob.heard();
		liar.text('go home');
		const other = await bob.heard();
		assert.equal(real, '[ops] boss says: go home');
		assert.equal(other, '"[ops] boss" says: go home');
	});

	test('an ordinary name is as it was', async (d) => {
		const [alice] = await users(d, 'alice');
		alice.text('hi');
		assert.equal(await alice.heard(), 'alice says: hi');
	});

	test('only the server is *server*', async (d) => {
		const [alice] = await users(d, 'alice');
		const liar = await signed(d, '*server*');
		await liar.ask('subscribe', {channel: 'lobby'});
		await liar.ask('publish', {channel: 'lobby', data: {text: 'x'}});
		assert.equal(await alice.heard(), '"*server*" says: x');
		await d.ctl('say', 'x');
		assert.equal(await alice.heard(), '*server* says: x');
	});

	test('/who can be counted', async (d) => {
		const names = ['a, b', 'a', 'b', 'and 3 more', '"q"', 'x"', '\\',
		    '[x]', '*', 'tab, "and" quote', '\u202ebob', 'é'];
		const [me] = await users(d, 'me');
		for (const name of names)
			await signed(d, name);
		me.text('/who');
		const {answer} = parse(await me.heard());
		const [, n, list] = /^(\d+) users: (.*)$/s.exec(answer);
		assert.equal(Number(n), names.length + 1);
		assert.deepEqual(listed(list).sort(), ['me', ...names].sort());
	});

	test('/rooms can be counted', async (d) => {
		const [me] = await users(d, 'me');
		const rooms = ['a, b', 'a', 'two words', '[x]', '*', '"', '\\'];
		for (const room of rooms) {
			me.text(`/join ${quoted(room)}`);
			assert.match(await me.heard(), /^\* joined /);
		}
		me.text('/rooms');
		const {answer} = parse(await me.heard());
		assert.deepEqual(listed(answer.replace('you are in ', '')).sort(),
		    ['lobby', ...rooms].sort());
	});

	test('what is said in a room is taken back', async (d) => {
		const [ear] = await users(d, 'ear');
		for (let i = 0; i < 150; i++) {
			const sub = odd(PIECES), room = odd(PIECES);
			const text = odd(LINES), line = await signed(d, sub);
			const {error} = await line.ask('subscribe', {channel: room});
			assert.equal(error, undefined, room);
			ear.text(`/join ${quoted(room)}`);
			const {answer} = parse(await ear.heard());
			const [, what, name] =
			    /^(joined|you are in) (.*?)( already)?$/s.exec(answer);
			assert.deepEqual(take(name), [room, ''], what);
			await line.ask('publish', {channel: room, data: {text}});
			assert.deepEqual(parse(await ear.heard()),
			    {room, from: sub, how: 'says', text});
			ear.text(`/leave ${quoted(room)}`);
			assert.match(await ear.heard(), /^\* left /);
			line.client.drop();
		}
	});

	test('whispers to and from odd names', async (d) => {
		const [ear] = await users(d, 'ear');
		for (let i = 0; i < 60; i++) {
			const sub = odd(PIECES), line = await signed(d, sub);
			const text = odd(LINES);
			await line.ask('rpc', {method: 'message',
			    data: {to: 'ear', data: {text}}});
			assert.deepEqual(parse(await ear.heard()),
			    {room: null, from: sub, how: 'whispers', text});
			ear.text(`/msg ${quoted(sub)} ${text}x`);
			const {pub} = await line.push();
			assert.equal(pub.data.text, text + 'x');
			line.client.drop();
		}
		ear.text('/msg "no, body" x');
		assert.equal(await ear.heard(), '* "no, body" is not connected');
	});

	test('lines of /history are what was said', async (d) => {
		const [me] = await users(d, 'me');
		const boss = await signed(d, '[ops] "b"');
		const room = 'the room', said = [];
		await boss.ask('subscribe', {channel: room});
		for (let i = 0; i < 40; i++) {
			said.push(i ? odd(LINES) : 'x\n* [lobby] boss says: go home');
			await boss.ask('publish',
			    {channel: room, data: {text: said[i]}});
		}
		me.text(`/history ${quoted(room)} 100`);
		const text = await me.heard();
		const breaks = /(?:\r\n|\r(?!\n)|[\n\v\f\x1c-\x1e\u0085\u2028\u2029])/;
		const lines = text.split(new RegExp(`${breaks.source}(?!    )`));
		assert.equal(lines.shift(), '* history of "the room"');
		assert.equal(lines.length, said.length);
		lines.forEach((line, i) => assert.deepEqual(parse(line.slice(2)
		    .replace(new RegExp(`(${breaks.source})    `, 'g'), '$1')),
		    {room, from: '[ops] "b"', how: 'says', text: said[i]}));
	});

	test('an unknown command is one line', async (d) => {
		const [me] = await users(d, 'me');
		me.text('/x\n[ops]');
		assert.equal(await me.heard(),
		    '* unknown command "/x\\u{a}[ops]", try /help');
	});
});

group('names in tokens', {conf: CONF}, (test) => {
	test('255 bytes, everywhere', async (d) => {
		assert.equal(Buffer.byteLength(LONG), 255);
		const long = await signed(d, LONG), again = await signed(d, LONG);
		const [bob] = await users(d, 'bob');
		assert.deepEqual(Object.keys(long.welcome.connect.subs),
		    ['#' + LONG]);
		bob.text('/who');
		assert.equal(await bob.heard(), `* 2 users: ${LONG}, bob`);
		bob.text(`/msg ${LONG} psst`);
		for (const l of [long, again])
			assert.equal((await l.push()).pub.data.text, 'psst');
		await long.ask('subscribe', {channel: 'lobby'});
		await long.ask('publish', {channel: 'lobby', data: {text: 'hi'}});
		assert.equal(await bob.heard(), `${LONG} says: hi`);
		assert.equal((await long.push()).pub.info.user, LONG);
		const {presence} = (await long.ask('presence',
		    {channel: 'lobby'})).presence;
		assert.ok(Object.values(presence).some((p) => p.user === LONG));
		const {rpc} = await long.ask('rpc', {method: 'who'});
		assert.deepEqual(rpc.data.users, [LONG, 'bob']);
		const seen = await d.json('show', 'users');
		assert.deepEqual(seen.map((u) => u.user).sort(), [LONG, 'bob']);
		await d.ctl('kick', LONG);
		await long.closed(3503);
		await again.closed(3503);
	});

	test('a backend reaches such a name', async (d) => {
		const long = await signed(d, LONG);
		const answer = await fetch(
		    `http://127.0.0.1:${d.port}/api/publish`, {method: 'POST',
		    headers: {'X-API-Key': 'k'}, body: JSON.stringify(
			{channel: '#' + LONG, data: {text: 'news'}})});
		assert.ok((await answer.json()).result);
		assert.equal((await long.push()).pub.data.text, 'news');
	});

	test('they stay with a connection whose worker is replaced',
	    async (d) => {
		const long = await signed(d, LONG);
		const [{worker}] = (await d.json('show', 'connections'))
		    .filter((c) => c.user === LONG);
		await d.ctl('restart-worker', String(worker));
		const [bob] = await users(d, 'bob');
		bob.text(`/msg ${LONG} still?`);
		assert.equal((await long.push()).pub.data.text, 'still?');
	});

	test('chatctl shows what cannot be seen', async (d) => {
		await signed(d, '\u202ebob, \u{e0041}');
		const {stdout} = await d.ctl('show', 'users');
		assert.match(stdout, / "\\u\{202e\}bob, \\u\{e0041\}"\n$/);
		const json = (await d.ctl('-j', 'show', 'users')).stdout;
		assert.ok(json.includes('"\\u202ebob, \\udb40\\udc41"'), json);
		assert.equal(JSON.parse(json)[0].user, '\u202ebob, \u{e0041}');
	});

	test('half a surrogate pair names nothing', async (d) => {
		const l = await signed(d, 'alice');
		await l.refused('subscribe', {channel: 'a\ud800'}, 107);
		await l.refused('rpc', {method: 'message',
		    data: {to: 'a\ud800', data: 1}}, 102);
	});
});

group('tokens for something else', {conf: `token-key "${SECRET}"\n` +
    'channel "room:*" {\n\tsubscribe token\n}\n'}, (test) => {
	const claims = {sub: 'alice', channel: 'room:1'};

	test('a subscription\'s connects nobody', async (d) => {
		const l = await Line.open(d);
		l.say({id: 1, connect: {token: token(claims)}});
		await l.closed(3500, 'invalid token');
		await d.logged(/127\.0\.0\.1:\d+: a token is refused: it has a channel/);
	});

	test('nor does it refresh a connection', async (d) => {
		const l = await signed(d, 'alice');
		l.say({id: 9, refresh: {token: token(claims)}});
		await l.closed(3500, 'invalid token');
	});

	test('it subscribes', async (d) => {
		const l = await signed(d, 'alice');
		assert.ok((await l.ask('subscribe', {channel: 'room:1',
		    token: token(claims)})).subscribe);
	});

	const reasons = {
		'expired': {sub: 'late', exp: now() - 60},
		'not valid yet': {sub: 'early', iat: now() + 60},
		'no time in seconds': {sub: 'ms', exp: Date.now() + 60000},
		'sub is no string': {sub: 7},
		'sub begins with #': {sub: '#x'},
		'longer than token-size, 8192 bytes': {x: 'y'.repeat(8000)}
	};
	for (const [why, bad] of Object.entries(reasons))
		test(`the log says why: ${why}`, async (d) => {
			const l = await Line.open(d);
			l.say({id: 1, connect: {token: token(bad)}});
			await d.logged(new RegExp(
			    `127\\.0\\.0\\.1:\\d+: a token is refused: .*${why}`));
		});
});
