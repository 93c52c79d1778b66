/* chatctl erase: what a user has published is gone from the database, its index
 * and files, and from what clients are told; what others did is not. */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {Daemon, processTitled, until} = require('./daemon.js');
const {Client} = require('./client.js');
const {Line} = require('./centrifugo.js');
const {rules, storing, WAIT_MS} = require('../fault/archive.js');

const CONF = rules('stored*', '\tstore yes\n') +
    rules('strict*', '\tstore strict\n') + rules('plain*');
const WORD = 'xyzzy';

/* Somebody says so many things in a channel. */
async function say(l, channel, n) {
	for (let k = 0; k < n; k++) {
		const r = await l.ask('publish', {channel,
		    data: {text: `${WORD} ${l.user} ${k}`}});
		assert.ok(r.publish, JSON.stringify(r));
	}
}

/* A user who is in these channels. */
async function come(d, user, ...channels) {
	const l = await Line.connected(d, `?user=${user}`);
	l.user = user;
	for (const channel of channels)
		await l.ask('subscribe', {channel});
	return l;
}

/* Who has said what a history has. */
async function history(l, channel, request = {limit: 1000}) {
	const {history: h, error} = await l.ask('history', {channel, ...request});
	assert.equal(error, undefined, JSON.stringify(error));
	return h.publications.map((p) => p.info.user);
}

/* Erases; what is told of it. */
function erase(d, user) {
	return d.json('erase', user);
}

/* Whether a file of the archive has that text. */
function hasText(archive, text) {
	return fs.readdirSync(archive.dir).some((name) =>
	    fs.readFileSync(`${archive.dir}/${name}`).includes(text));
}

/* The database has so many rows. */
function stored(archive, n) {
	return until(`${n} rows`, () =>
	    archive.value('SELECT count(*) FROM publication') === n, WAIT_MS);
}

group('erase', null, (test) => {
	test('a user', () => storing(async (d, archive) => {
		const all = ['stored', 'strict', 'plain'];
		const alice = await come(d, 'alice', ...all);
		const bob = await come(d, 'bob', ...all);
		for (const channel of all)
			for (const l of [alice, bob, alice])
				await say(l, channel, 5);
		await stored(archive, 30);
		await until('a row in user', () => archive.value(
		    "SELECT count(*) FROM user WHERE name = 'alice'") === 1);
		const events = archive.value(
		    "SELECT count(*) FROM event WHERE user = 'alice'");
		assert.ok(events > 0 && hasText(archive, `${WORD} alice`));
		assert.deepEqual(await erase(d, 'alice'), {messages: 20, events,
		    /* what is strict is there as proposed, too */
		    journal: 40, log_emptied: true, unreached: ['backups',
			'exports', 'clients', 'messages of others']});
		for (const channel of all) {
			assert.deepEqual(await history(bob, channel),
			    Array(5).fill('bob'), channel);
			/* going on is going on */
			const l = await Line.connected(d, '?user=carol');
			const {subscribe} = await l.ask('subscribe',
			    {channel, recover: true, offset: 3, epoch:
				(await bob.ask('history', {channel})).history.epoch});
			assert.equal(subscribe.recovered, true);
			assert.deepEqual(subscribe.publications.map((p) =>
			    p.offset), [6, 7, 8, 9, 10]);
			await l.client.close();
		}
		assert.equal(hasText(archive, `${WORD} alice`), false);
		assert.ok(hasText(archive, `${WORD} bob`));
		assert.equal(archive.value("SELECT count(*) FROM user " +
		    "WHERE name = 'alice'"), 0);
		assert.deepEqual(archive.rows('SELECT count(*) AS n, ' +
		    'count(user) + count(data) + count(sender) AS of, min(time) ' +
		    '> 0 AS time FROM publication WHERE erased'),
		    [{n: 20, of: 0, time: 1}]);
		/* she may go on, and that is not erased */
		await say(alice, 'stored', 1);
		assert.deepEqual(await history(bob, 'stored', {limit: 1,
		    reverse: true}), ['alice']);
		const again = await erase(d, 'nobody');
		assert.equal(again.messages + again.events + again.journal, 0);
		const text = await d.ctl('erase', 'alice');
		assert.match(text.stdout, /^erased of alice: 1 messages and /);
		assert.match(text.stdout, /^not reached: backups /m);
		await until('a line in the log', () =>
		    d.stderr.includes('alice erased: 1 messages'));
	}, {channels: CONF, conf: 'store-search yes\n'}));

	/* What is erased stays so, after a restart, too; and the chain of what
	 * is left is whole. */
	test('and a restart', async () => {
		let archive;
		await storing(async (d, a) => {
			archive = a;
			const alice = await come(d, 'alice', 'stored');
			const bob = await come(d, 'bob', 'stored');
			for (let k = 0; k < 3; k++)
				for (const l of [alice, bob])
					await say(l, 'stored', 1);
			await stored(archive, 6);
			assert.equal((await erase(d, 'alice')).messages, 3);
			await say(bob, 'stored', 1);
		}, {channels: CONF, keep: true});
		await storing(async (d) => {
			const bob = await come(d, 'bob', 'stored');
			assert.deepEqual(await history(bob, 'stored'),
			    Array(4).fill('bob'));
			const {subscribe} = await (await Line.connected(d,
			    '?user=carol')).ask('subscribe', {channel: 'stored',
			    recover: true, offset: 0, epoch: (await bob.ask('history',
				{channel: 'stored'})).history.epoch});
			assert.equal(subscribe.recovered, true);
			assert.deepEqual(subscribe.publications.map((p) =>
			    p.offset), [2, 4, 6, 7]);
			archive.judge('stored');
		}, {channels: CONF, archive});
	});

	test('while all talk', () => storing(async (d, archive) => {
		const alice = await come(d, 'alice', 'stored');
		const bob = await come(d, 'bob', 'stored', 'plain');
		let over = false, n = 0;
		const talk = (async () => {
			for (; !over; n++)
				await say(bob, 'stored', 1);
		})();
		await say(alice, 'stored', 300);
		assert.equal((await erase(d, 'alice')).messages, 300);
		over = true;
		await talk;
		await archive.whole(d);
		assert.equal(archive.judge('stored').filter((m) =>
		    m.user === 'bob').length, n);
		assert.equal(archive.value('SELECT count(*) FROM publication ' +
		    'WHERE erased'), 300);
	}, {channels: CONF, conf: 'store-search yes\n'}));

	/* One that dies meanwhile is told of, and asked again it is done. */
	test('by a process that ends', () => storing(async (d, archive) => {
		const alice = await come(d, 'alice', 'stored');
		await say(alice, 'stored', 3);
		await stored(archive, 3);
		const [pid] = processTitled(d.pid, /^chatd: store$/);
		process.kill(pid, 'SIGSTOP');
		const asked = d.ctl('erase', 'alice');
		await until('it is asked for', () =>
		    d.stderr.includes('erases alice'));
		const other = await d.ctl('erase', 'bob');
		assert.equal(other.status, 1);
		assert.match(other.stderr, /another user is being erased/);
		process.kill(pid, 'SIGKILL');
		const r = await asked;
		assert.equal(r.status, 1);
		assert.match(r.stderr, /has ended; try again/);
		await until('the next one is there', async () =>
		    (await d.ctl('erase', 'alice')).status === 0, WAIT_MS);
		assert.equal(archive.value(
		    'SELECT count(*) FROM publication WHERE erased'), 3);
		assert.deepEqual(await history(alice, 'stored'), []);
	}, {channels: CONF}));

	test('without a store', async () => {
		const d = await Daemon.start({conf: rules('plain*')});
		const r = await d.ctl('erase', 'alice');
		assert.equal(r.status, 1);
		assert.match(r.stderr, /no database is written/);
		assert.notEqual((await d.ctl('erase', '')).status, 0);
		assert.notEqual((await d.ctl('erase')).status, 0);
		Client.dropAll();
		await d.stop();
	});
});
