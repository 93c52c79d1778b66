/*
 * Users who were away: what came for them meanwhile is told when they come, at
 * each door, once; who is known, here or not, is asked of the database; and what
 * has happened to users and channels stands there.
 */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {group} = require('./suite.js');
const {Client} = require('./client.js');
const {Daemon, until} = require('./daemon.js');
const {Line, SECRET, event, now, sdk, sdkLeave, token} =
    require('./centrifugo.js');

const MOST = 100; /* told at once */
const OWN = `channel "#*" {
	store yes
	offline yes
	history 100
	recovery yes
}
channel "#here*" {
	history 100
	recovery yes
}
channel "#kept*" {
	store yes
	history 100
	recovery yes
}
channel "*" {
	subscribe all
	publish all
	store yes
	history 10
}
channel "lobby" {
	subscribe all
	publish all
	store yes
	join-leave yes
}
`;

/* Daemons, one after another, with one database. */
class Place {
	constructor(conf = OWN) {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'away-'));
		fs.chmodSync(this.dir, 0o777); /* children have another user */
		this.file = path.join(this.dir, 'chat.db');
		this.conf = `store "${this.file}"\n${conf}`;
	}

	start(more = '') {
		return Daemon.start({conf: this.conf + more, workers: 2});
	}

	/* What a question is answered: a row each, its values by "|". */
	rows(sql) {
		return execFileSync('sqlite3', ['-readonly', '-cmd',
		    '.timeout 5000', this.file, sql], {encoding: 'utf8'})
		    .split('\n').filter(Boolean);
	}

	/* Waits until a question is answered so. */
	shows(sql, ...rows) {
		let seen;
		return until(sql, () => {
			seen = this.rows(sql);
			return seen.join('\n') === rows.join('\n');
		}).catch((error) => {
			throw new Error(`${error.message}: ${seen.join(', ')}`);
		});
	}

	remove() {
		fs.rmSync(this.dir, {recursive: true});
	}
}

/* A test with a daemon of its own; restart() gives the next one. */
function away(test, title, body, conf) {
	test(title, async () => {
		const place = new Place(conf);
		let d = await place.start();
		const restart = async (more) => {
			sdkLeave();
			Client.dropAll();
			await d.stop('SIGTERM', 15000);
			d = await place.start(more);
			return d;
		};
		try {
			await body(d, place, restart);
			sdkLeave();
			Client.dropAll();
			await d.stop('SIGTERM', 15000);
		} finally {
			sdkLeave();
			await Daemon.killAll();
			place.remove();
		}
	}, {limit: 60000});
}

/* Waits until a connection has been answered: what it said before is done. */
async function done(c, rooms = 'lobby') {
	c.text('/rooms');
	assert.equal(await c.heard(), `* you are in ${rooms}`);
}

/* A user of the plain door comes and goes, and has got all that was told. */
async function visit(d, place, name) {
	const c = await Client.user(d.port, name);
	await done(c);
	await c.close();
	await place.shows(`SELECT count(*) > 0 FROM event WHERE user = '${name}'
	    AND kind = 'offline'`, '1');
}

/* Somebody says n things to somebody. */
async function whispers(d, from, to, texts) {
	const c = await Client.user(d.port, from);
	for (const text of texts)
		c.text(`/msg ${to} ${text}`);
	await done(c);
	return c;
}

/* What a user who comes is told first: the number, and those messages. */
async function told(c, from, texts, more = '') {
	const n = texts.length;
	assert.match(await c.heard(), new RegExp(`^\\* ${n} message` +
	    `${n === 1 ? '' : 's'} since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC` +
	    `${more}$`));
	for (const text of texts)
		assert.equal(await c.heard(), `${from} whispers: ${text}`);
}

const numbers = (n, from = 1) => Array.from({length: n},
    (_, k) => String(from + k));

group('at the plain door', null, (test) => {
	away(test, 'what came is told once, then what comes', async (d, place) => {
		await visit(d, place, 'bob');
		const alice = await whispers(d, 'alice', 'bob', ['1', '2']);
		let bob = await Client.user(d.port, 'bob');
		await told(bob, 'alice', ['1', '2']);
		alice.text('/msg bob 3');
		assert.equal(await bob.heard(), 'alice whispers: 3');
		await bob.close();
		bob = await Client.user(d.port, 'bob');
		alice.text('/msg bob 4');
		assert.equal(await bob.heard(), 'alice whispers: 4');
		await place.shows(`SELECT delivered > 0 FROM user WHERE name =
		    'bob'`, '1');
	});

	away(test, 'also after restarts', async (d, place, restart) => {
		await visit(d, place, 'bob');
		await whispers(d, 'alice', 'bob', ['1']);
		d = await restart();
		/* bob is known to the database alone */
		await whispers(d, 'alice', 'bob', ['2']);
		d = await restart();
		let bob = await Client.user(d.port, 'bob');
		await told(bob, 'alice', ['1', '2']);
		await done(bob);
		await bob.close();
		d = await restart();
		bob = await Client.user(d.port, 'bob');
		const alice = await whispers(d, 'alice', 'bob', ['3']);
		assert.equal(await bob.heard(), 'alice whispers: 3');
		await alice.close();
	});

	away(test, 'who was never here gets nothing', async (d, place, restart) => {
		const alice = await Client.user(d.port, 'alice');
		alice.text('/msg bob 1');
		assert.equal(await alice.heard(), '* bob is not connected');
		alice.text('/history nowhere');
		assert.equal(await alice.heard(), '* nothing was said in nowhere');
		await alice.close();
		d = await restart();
		assert.deepEqual(place.rows(`SELECT name FROM channel WHERE name IN
		    ('#bob', 'nowhere')`), []);
		assert.deepEqual(place.rows('SELECT name FROM user'), ['alice']);
	});

	away(test, `of more than ${MOST} the newest`, async (d, place) => {
		await visit(d, place, 'bob');
		await whispers(d, 'alice', 'bob', numbers(MOST + 20));
		const bob = await Client.user(d.port, 'bob');
		await told(bob, 'alice', numbers(MOST, 21),
		    ', older ones are left out: /history #bob');
		bob.text(`/history #bob ${MOST + 20}`);
		assert.deepEqual((await bob.heard()).split('\n'),
		    ['* history of #bob', ...numbers(MOST + 20).map((k) =>
			`* [#bob] alice says: ${k}`)]);
		bob.text('/history #alice');
		assert.equal(await bob.heard(), '* #alice keeps no history');
	}, OWN.replace('history 100\n', 'history 1000\n'));

	away(test, 'of what the ring has no more, too', async (d, place) => {
		const text = 'x'.repeat(2000), n = 30;
		await visit(d, place, 'bob');
		const alice = await whispers(d, 'alice', 'bob',
		    numbers(n).map((k) => k + text));
		for (let k = 0; k < 800; k++)
			alice.text(text);
		for (let k = 0; k < 800; k++)
			await alice.heard();
		const bob = await Client.user(d.port, 'bob');
		await told(bob, 'alice', numbers(n).map((k) => k + text));
	}, `journal 1M\n${OWN}`);

	away(test, 'who asks for something meanwhile is told it, too',
	    async (d, place) => {
		const text = 'x'.repeat(2000);
		await visit(d, place, 'bob');
		const alice = await whispers(d, 'alice', 'bob', ['1']);
		alice.text('/join den');
		assert.equal(await alice.heard(), '* joined den');
		for (let k = 0; k < 800; k++)
			alice.text(`/to den ${text}`);
		for (let k = 0; k < 800; k++)
			await alice.heard();
		for (let k = 0; k < 8; k++) {
			const bob = await Client.user(d.port, 'bob');
			bob.text('/history den 100');
			const heard = [await bob.heard(), await bob.heard(),
			    await bob.heard()];
			assert.deepEqual(heard.filter((l) => l.length < 1000)
			    .map((l) => l.split(' since ')[0]),
			    ['* 1 message', `alice whispers: ${k + 1}`]);
			await bob.close();
			alice.text(`/msg bob ${k + 2}`);
			await done(alice, 'lobby, den');
		}
	}, `journal 1M\n${OWN.replace('history 10\n', 'history 1000\n')}`);

	for (const kind of ['ack', 'strict'])
		away(test, `with \`store ${kind}\``, async (d, place, restart) => {
			await visit(d, place, 'bob');
			await whispers(d, 'alice', 'bob', ['1']);
			d = await restart();
			const alice = await whispers(d, 'alice', 'bob', ['2']);
			alice.text('/msg carol 1');
			assert.equal(await alice.heard(),
			    '* carol is not connected');
			const bob = await Client.user(d.port, 'bob');
			await told(bob, 'alice', ['1', '2']);
			alice.text('/msg bob 3');
			assert.equal(await bob.heard(), 'alice whispers: 3');
		}, OWN.replace('store yes', `store ${kind}`));

	away(test, 'of what is not stored nothing', async (d, place) => {
		await visit(d, place, 'here1');
		const alice = await Client.user(d.port, 'alice');
		alice.text('/msg here1 1');
		assert.equal(await alice.heard(), '* here1 is not connected');
		const other = await Client.user(d.port, 'here1');
		alice.text('/msg here1 2');
		assert.equal(await other.heard(), 'alice whispers: 2');
		await other.close();
		await alice.close();
		await place.shows(`SELECT count(*) FROM event WHERE user = 'here1'
		    AND kind = 'offline'`, '2');
		assert.deepEqual(place.rows(`SELECT delivered FROM user WHERE name =
		    'here1'`), ['0']);
	});

	away(test, 'a worker that dies leaves nothing out', async (d, place) => {
		await visit(d, place, 'bob');
		const alice = await whispers(d, 'alice', 'bob', numbers(3));
		const bob = await Client.user(d.port, 'bob');
		const workers = (await d.ask('show', 'workers'))
		    .filter((w) => w.role === undefined || w.role === 'worker');
		for (const w of workers)
			process.kill(Number(w.pid), 'SIGKILL');
		alice.text('/msg bob 4');
		const heard = [];
		while (!heard.includes('4'))
			heard.push((await bob.heard()).split(': ')[1]);
		/* a death may have some told twice */
		const first = heard.filter((t, k) => t &&
		    heard.indexOf(t) === k);
		assert.deepEqual(first, numbers(4));
	});
});

group('at the Centrifugo door', null, (test) => {
	away(test, 'who is known is asked of the database',
	    async (d, place, restart) => {
		await (await Line.connected(d, '?user=bob')).client.close();
		await place.shows(`SELECT count(*) FROM user WHERE name = 'bob'`,
		    '1');
		d = await restart();
		const alice = await Line.connected(d, '?user=alice');
		await alice.refused('rpc', {method: 'message', data:
		    {to: 'carol', data: 1}}, 102);
		const {rpc} = await alice.ask('rpc', {method: 'message', data:
		    {to: 'bob', data: {text: 'x'}}});
		assert.equal(rpc.data.online, false);
		assert.equal(rpc.data.offset, 1);
	});

	away(test, 'without a position what came is in the reply, once',
	    async (d, place) => {
		const first = sdk(d, '?user=bob');
		await event(first, 'connected');
		first.disconnect();
		await place.shows(`SELECT count(*) > 0 FROM event WHERE user = 'bob'
		    AND kind = 'offline'`, '1');
		const alice = await whispers(d, 'alice', 'bob', ['1', '2']);
		let bob = sdk(d, '?user=bob');
		const heard = [];
		bob.on('publication', (p) => heard.push(p.data.text));
		await event(bob, 'connected');
		alice.text('/msg bob 3');
		await until('three are heard', () => heard.length === 3);
		assert.deepEqual(heard, ['1', '2', '3']);
		await place.shows(`SELECT delivered FROM user WHERE name = 'bob'`,
		    '3');
		bob.disconnect();
		bob = await Line.connected(d, '?user=bob');
		assert.equal(bob.welcome.connect.subs['#bob'].publications,
		    undefined);
	});

	away(test, `of more than ${MOST} none, until history is loaded`,
	    async (d, place) => {
		await visit(d, place, 'bob');
		await whispers(d, 'alice', 'bob', numbers(MOST + 20));
		for (let k = 0; k < 2; k++) {
			const bob = sdk(d, '?user=bob');
			bob.on('publication', () => assert.fail('published'));
			const s = await event(bob, 'subscribed');
			assert.equal(s.wasRecovering, true);
			assert.equal(s.recovered, false);
			if (k === 0) {
				bob.disconnect();
				continue;
			}
			const {publications} = await bob.history('#bob',
			    {limit: 1000});
			assert.deepEqual(publications.map((p) => p.data.text),
			    numbers(MOST + 20));
		}
		await place.shows(`SELECT delivered FROM user WHERE name = 'bob'`,
		    String(MOST + 20));
		const bob = await Line.connected(d, '?user=bob');
		assert.equal(bob.welcome.connect.subs['#bob'].was_recovering,
		    undefined);
	}, OWN.replace('history 100\n', 'history 1000\n'));

	away(test, 'without `offline` there is nothing without a position',
	    async (d, place) => {
		await visit(d, place, 'kept1');
		await whispers(d, 'alice', 'kept1', ['1']);
		const l = await Line.connected(d, '?user=kept1');
		assert.equal(l.welcome.connect.subs['#kept1'].offset, 1);
		assert.equal(l.welcome.connect.subs['#kept1'].publications,
		    undefined);
		await l.client.close();
		/* nor has it been got */
		const c = await Client.user(d.port, 'kept1');
		await told(c, 'alice', ['1']);
	});

	away(test, 'with a position it is a recovery', async (d, place) => {
		let bob = await Line.connected(d, '?user=bob');
		const {epoch} = bob.welcome.connect.subs['#bob'];
		await bob.client.close();
		await whispers(d, 'alice', 'bob', ['1', '2']);
		bob = await Line.connected(d, '?user=bob', {subs: {'#bob':
		    {recover: true, epoch, offset: 0}}});
		const own = bob.welcome.connect.subs['#bob'];
		assert.equal(own.recovered, true);
		assert.deepEqual(own.publications.map((p) => p.data.text),
		    ['1', '2']);
		await place.shows(`SELECT delivered FROM user WHERE name = 'bob'`,
		    '2');
	});
});

group('what has happened', null, (test) => {
	away(test, 'stands in the database', async (d, place) => {
		const c = await Client.user(d.port, 'alice');
		await done(c);
		assert.equal((await d.ctl('kick', 'alice')).status, 0);
		await c.closed(4001);
		await place.shows(`SELECT kind, user, device, peer LIKE
		    '127.0.0.1:%', e.channel IS NULL FROM event e ORDER BY id`,
		    'start||||1', 'online|alice|||1', 'connect|alice||1|1',
		    'join|alice|||0', 'kick|alice|||1', 'leave|alice|||0',
		    'disconnect|alice||1|1', 'offline|alice|||1');
		await d.stop('SIGTERM', 15000);
		assert.deepEqual(place.rows(`SELECT kind FROM event ORDER BY id DESC
		    LIMIT 1`), ['stop']);
		Object.assign(d, await place.start());
	});

	away(test, 'and whose name a token proves', async (d, place) => {
		await Line.connected(d, '', {token:
		    token({sub: 'alice', exp: now() + 60})});
		await place.shows('SELECT name, proved FROM user', 'alice|1');
	}, `token-key "${SECRET}"\n${OWN}`);
});
