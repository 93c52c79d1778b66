/* The plain door, to the byte: says, whispers, commands, many workers. */
'use strict';

const assert = require('node:assert/strict');
const {group} = require('./suite.js');
const {until} = require('./daemon.js');
const {Client, OP, fragments, frame} = require('./client.js');

/* Opens one connection for each name ("bob@phone" has a device). */
function users(d, ...names) {
	return Promise.all(names.map((name) =>
	    Client.user(d.port, ...name.split('@'))));
}

/* Each of them hears that and nothing else. */
async function allHear(clients, text) {
	for (const c of clients) {
		assert.equal(await c.heard(), text);
		await c.quiet();
	}
}

group('plain', {conf: 'log verbose\n'}, (test) => {
	test('a text reaches everybody, the sender too', async (d) => {
		const all = await users(d, 'alice', 'bob', 'carol');
		all[0].text('hello');
		await allHear(all, 'alice says: hello');
	});

	const texts = {
		'empty': '', 'one byte': 'x', 'a space': ' ',
		'only spaces around': '  x  ', 'lines': 'a\nb\r\nc\n',
		'NUL': 'a\0b', 'quotes and backslashes': '"\\"', 'markup': '<b>&amp;',
		'many scripts': 'κόσμε \u{1f600} 漢字 \u202e', 'a slash later': 'a/b',
		'a space and a slash': ' /who', 'percent': '%s%n%d%41',
		'112 bytes': 'x'.repeat(112), '113 bytes': 'x'.repeat(113),
		'125 bytes': 'x'.repeat(125), '126 bytes': 'x'.repeat(126),
		'4 KiB': 'y'.repeat(4096), '4 KiB and more': 'y'.repeat(4097),
		'65,523 bytes': 'z'.repeat(65523), '65,524 bytes': 'z'.repeat(65524),
		'64 KiB': 'z'.repeat(65536)
	};
	for (const [name, text] of Object.entries(texts))
		test(`says: ${name}`, async (d) => {
			const all = await users(d, 'alice', 'bob', 'carol', 'dave');
			all[1].text(text);
			await allHear(all, 'bob says: ' + text);
		});

	test('a message in fragments is one', async (d) => {
		const all = await users(d, 'alice', 'bob');
		all[0].write(Buffer.concat(fragments(OP.TEXT, 'κόσμε!', 1)));
		await allHear(all, 'alice says: κόσμε!');
	});

	test('many messages in one segment', async (d) => {
		const all = await users(d, 'alice', 'bob');
		all[0].write(Buffer.concat(Array.from({length: 100}, (_, i) =>
		    frame(OP.TEXT, `m${i}`))));
		for (const c of all)
			for (let i = 0; i < 100; i++)
				assert.equal(await c.heard(), `alice says: m${i}`);
	});

	test('slashes', async (d) => {
		const all = await users(d, 'alice', 'bob');
		for (const [line, heard] of [['//x', '/x'], ['//', '/'],
		    ['///', '//'], ['//who', '/who'], ['//msg bob x', '/msg bob x']]) {
			all[0].text(line);
			await allHear(all, 'alice says: ' + heard);
		}
	});

	test('every device is reached', async (d) => {
		const all = await users(d, 'alice@a', 'alice@b', 'alice', 'bob');
		all[0].text('hi');
		await allHear(all, 'alice says: hi');
		all[3].text('/msg alice psst');
		await allHear(all.slice(0, 3), 'bob whispers: psst');
		await all[3].quiet();
	});

	test('whispers reach one user only', async (d) => {
		const all = await users(d, 'alice', 'bob', 'carol', 'bob@2', 'bo');
		all[0].text('/msg bob secret  words ');
		await allHear([all[1], all[3]], 'alice whispers: secret  words ');
		for (const i of [0, 2, 4])
			await all[i].quiet();
	});

	test('a whisper to oneself', async (d) => {
		const all = await users(d, 'alice', 'alice@2');
		all[0].text('/msg alice note');
		await allHear(all, 'alice whispers: note');
	});

	test('whispers to names in quotes', async (d) => {
		const [alice, bob, odd] =
		    await users(d, 'alice', 'bob smith', 'a/b#c');
		alice.text('/msg "bob smith" hi "there"');
		assert.equal(await bob.heard(), 'alice whispers: hi "there"');
		alice.text('/msg "a/b#c" hi');
		assert.equal(await odd.heard(), 'alice whispers: hi');
		alice.text('/msg a/b#c hi');
		assert.equal(await odd.heard(), 'alice whispers: hi');
		bob.text('/msg alice back');
		assert.equal(await alice.heard(), '"bob smith" whispers: back');
		await alice.quiet();
	});

	const answers = {
		'/msg nobody hi': '* nobody is not connected',
		'/msg "no body" hi': '* "no body" is not connected',
		'/msg Bob hi': '* Bob is not connected',
		'/msg': '* usage: /msg USER TEXT',
		'/msg ': '* usage: /msg USER TEXT',
		'/msg bob': '* usage: /msg USER TEXT',
		'/msg bob ': '* usage: /msg USER TEXT',
		'/msg "bob"': '* usage: /msg USER TEXT',
		'/x': '* unknown command /x, try /help',
		'/': '* unknown command /, try /help',
		'/foo bar baz': '* unknown command /foo, try /help',
		'/msgbob hi': '* unknown command /msgbob, try /help',
		'/whoami': '* unknown command /whoami, try /help',
		'/WHO': '* unknown command /WHO, try /help',
		'/κόσμε': '* unknown command /κόσμε, try /help'
	};
	for (const [line, heard] of Object.entries(answers))
		test(`${line} is answered to the sender alone`, async (d) => {
			const [alice, bob] = await users(d, 'alice', 'bob');
			alice.text(line);
			assert.equal(await alice.heard(), heard);
			await alice.quiet();
			await bob.quiet();
		});

	test('/help is one frame of lines with stars', async (d) => {
		const [alice, bob] = await users(d, 'alice', 'bob');
		alice.text('/help');
		const text = await alice.heard();
		assert.ok(text.split('\n').length >= 2);
		for (const line of text.split('\n'))
			assert.match(line, /^\* ./);
		for (const command of ['/msg', '/who', '/help'])
			assert.ok(text.includes(command), command);
		await alice.quiet();
		await bob.quiet();
	});

	test('/who counts, sorts, and names a user once', async (d) => {
		const [alice] = await users(d, 'alice');
		alice.text('/who');
		assert.equal(await alice.heard(), '* 1 user: alice');
		const more = await users(d, 'zoe', 'bob', 'bob@2', 'Anna', 'ärger',
		    'bob smith');
		alice.text('/who');
		assert.equal(await alice.heard(),
		    '* 6 users: Anna, alice, bob, "bob smith", zoe, ärger');
		await more[1].close();
		alice.text('/who');
		assert.match(await alice.heard(), /^\* 6 users: /);
		await more[2].close();
		await until('bob to be gone', async () => {
			alice.text('/who');
			return await alice.heard() ===
			    '* 5 users: Anna, alice, "bob smith", zoe, ärger';
		});
		await alice.quiet();
		await more[0].quiet();
	});

	test('/who names the first hundred', async (d) => {
		const names = Array.from({length: 120}, (_, i) =>
		    'u' + String(i).padStart(3, '0'));
		const all = await users(d, ...names);
		all[0].text('/who');
		const text = await all[0].heard();
		const list = '* 120 users: ' + names.slice(0, 100).join(', ');
		assert.equal(text.slice(0, list.length), list);
		assert.match(text.slice(list.length), /^\D*\b20\b\D*$/);
	});

	test('joins and leaves are logged, not told', async (d) => {
		const [alice] = await users(d, 'alice');
		const [one, two] = await users(d, 'quentin', 'quentin@2');
		await one.close();
		await two.close();
		await d.logged(/quentin.*(left|leaves)/i);
		await alice.quiet();
		/* First and last device only. */
		const lines = d.stderr.split('\n')
		    .filter((line) => line.includes('quentin'));
		for (const word of [/join/i, /left|leaves/i])
			assert.equal(lines.filter((l) => word.test(l)).length, 1,
			    lines.join('\n'));
	});
});

/* Four workers, forty clients: each hears all, once, in one order. */
async function storm(d, clients, rounds, size = 0) {
	const all = await users(d, ...Array.from({length: clients}, (_, i) =>
	    `u${i}`));
	const seen = await d.json('show', 'connections');
	assert.equal(new Set(seen.map((s) => s.worker)).size, 4,
	    'clients on all workers');
	const fill = size ? ' ' + 'x'.repeat(size) : '';
	const talk = async (c) => {
		for (let n = 0; n < rounds; n++)
			await c.text(`${n}${fill}`);
	};
	const listen = async (c) => {
		const order = [];
		while (order.length < clients * rounds)
			order.push(await c.heard());
		await c.quiet();
		return order;
	};
	const talking = all.map(talk);
	const orders = await Promise.all(all.map(listen));
	await Promise.all(talking);
	const next = {};
	for (const text of orders[0]) {
		const m = /^(u\d+) says: (\d+)(.*)$/.exec(text);
		assert.ok(m, text.slice(0, 60));
		assert.equal(Number(m[2]), next[m[1]] ?? 0, `order of ${m[1]}`);
		assert.equal(m[3], fill);
		next[m[1]] = Number(m[2]) + 1;
	}
	for (const order of orders)
		assert.deepEqual(order, orders[0], 'one order for everybody');
}

group('workers', {}, (test) => {
	test('40 clients: everything, once, in one order', (d) =>
	    storm(d, 40, 25));
	test('40 clients: messages over 4 KiB', (d) => storm(d, 40, 5, 5000));
	test('40 clients: messages of 60 KB', (d) => storm(d, 40, 1, 60000));

	test('whispers across workers: once and in order', async (d) => {
		const all = await users(d, ...Array.from({length: 40}, (_, i) =>
		    `w${i}`));
		for (let n = 0; n < 50; n++)
			all.forEach((c, i) =>
			    c.text(`/msg w${(i + 7) % 40} ${n}`));
		await Promise.all(all.map(async (c, i) => {
			for (let n = 0; n < 50; n++)
				assert.equal(await c.heard(),
				    `w${(i + 33) % 40} whispers: ${n}`);
			await c.quiet();
		}));
	});

	test('says and whispers of one sender keep their order', async (d) => {
		const all = await users(d, ...Array.from({length: 8}, (_, i) =>
		    `o${i}`));
		for (let n = 0; n < 100; n++)
			all[0].text(n & 1 ? `/msg o5 ${n}` : String(n));
		for (let n = 0; n < 100; n++)
			assert.equal(await all[5].heard(), n & 1 ?
			    `o0 whispers: ${n}` : `o0 says: ${n}`);
	});

	test('clients that come and go while others talk', async (d) => {
		const [alice, bob] = await users(d, 'alice', 'bob');
		const guests = (async () => {
			for (let round = 0; round < 10; round++) {
				const some = await users(d, 'g1', 'g2', 'g3', 'g4');
				some[0].drop();
				some[1].drop();
				await some[2].close();
				await some[3].close();
			}
		})();
		for (let n = 0; n < 200; n++) {
			alice.text(String(n));
			assert.equal(await bob.heard(), `alice says: ${n}`);
			assert.equal(await alice.heard(), `alice says: ${n}`);
		}
		await guests;
	});
});

group('without io_uring', {conf: 'io-uring no\n'}, (test) => {
	test('40 clients: everything, once, in one order', (d) =>
	    storm(d, 40, 10));
	test('40 clients: messages over 4 KiB', (d) => storm(d, 40, 3, 5000));
	test('a slow reader loses nothing within its queue', async (d) => {
		const [alice, bob] = await users(d, 'alice', 'bob');
		bob.socket.pause();
		for (let n = 0; n < 200; n++) {
			alice.text(`${n} ` + 'x'.repeat(2000));
			await alice.heard();
		}
		bob.socket.resume();
		for (let n = 0; n < 200; n++)
			assert.match(await bob.heard(),
			    new RegExp(`^alice says: ${n} x{2000}$`));
	});
});

group('queue', {conf: 'queue 64K\n'}, (test) => {
	test('a reader that is too slow is disconnected', async (d) => {
		const [alice, bob] = await users(d, 'alice', 'bob');
		bob.socket.pause();
		const fill = 'x'.repeat(60000);
		let n = 0;
		for (; n < 2000; n++) {
			alice.text(fill);
			await alice.heard();
			if (n % 50 === 0 &&
			    (await d.json('show', 'users')).length === 1)
				break;
		}
		assert.ok(n < 2000, 'bob is still connected');
		await alice.quiet();
	}, {limit: 60000});
});
