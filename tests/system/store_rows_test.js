/*
 * What is stored is what was said: any text, name, tag and size comes back after
 * a restart as it was told before, at each door; channels that give their place
 * to others, and users' own ones, too.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('./suite.js');
const {Daemon, run, until, CHATD} = require('./daemon.js');
const {Client} = require('./client.js');
const {Line, sdk, sdkLeave} = require('./centrifugo.js');
const {API_KEY, Archive, CHANNELS, RULES, api, becomes} =
    require('../fault/archive.js');

/* Runs of a daemon with one archive. */
class Runs {
	constructor(conf = '', channels = CHANNELS) {
		this.archive = new Archive();
		this.conf = this.archive.conf() + channels + conf;
	}

	async run(body) {
		const d = await Daemon.start({conf: this.conf, workers: 2});
		try {
			await body(d);
			await this.archive.whole(d);
		} finally {
			sdkLeave();
			Client.dropAll();
		}
		await d.stop('SIGTERM', 15000);
	}

	end() {
		this.archive.check();
		this.archive.remove();
	}
}

/* Before and after a restart. */
async function both(before, after, conf, channels) {
	const runs = new Runs(conf, channels);
	try {
		await runs.run((d) => before(d, runs.archive));
		await runs.run((d) => after(d, runs.archive));
	} finally {
		runs.end();
	}
}

/* The history of a channel, as an entry's fields. */
async function pages(d, channel, limit = 100) {
	const l = await Line.connected(d, '?user=reader');
	const {history, error} = await l.ask('history', {channel, limit});
	assert.ok(history, JSON.stringify(error));
	l.client.drop();
	return history;
}

const VALUES = ['', 'ä€𝄞', '"quoted" \\ /', '\u0000\u0001\u001f\u007f',
    'a\nb\r\nc\u2028d\u2029', '\ufeff\uffff', '{"text":"no"}', 0, -1.5e300, true,
    null, [], {}, [1, {a: 'ä'}], {text: 'a text'}, {text: ''}, {text: 1},
    'x'.repeat(60000)];
const NAMES = ['told', 'told ä', 'told"quoted"', "told'; DROP TABLE channel;--",
    'told\\', 'told%00', `told${'x'.repeat(50)}`];

group('rows', null, (test) => {
	test('any value', () => {
		let seen;
		return both(async (d) => {
			const a = sdk(d, '?user=alice');
			await a.ready(5000);
			for (const v of VALUES)
				await a.publish('told', v);
			const c = await Client.user(d.port, 'bob');
			c.text('/to told a plain "text" \u0000 ä');
			await c.quiet();
			seen = await pages(d, 'told');
			assert.deepEqual(seen.publications.slice(0, -1)
			    .map((p) => p.data), VALUES);
		}, async (d) => {
			assert.deepEqual(await pages(d, 'told'), seen);
		}, 'message-size 1M\nqueue 4M\n');
	}, {limit: 60000});

	test('any name of a channel or user', () => {
		const seen = new Map();
		return both(async (d) => {
			for (const name of NAMES) {
				const user = name.replaceAll('"', '_');
				const l = await Line.connected(d, '?user=' +
				    encodeURIComponent(user));
				const r = await l.ask('publish',
				    {channel: name, data: name});
				assert.ok(r.publish, `${name} ${JSON.stringify(r)}`);
				seen.set(name, await pages(d, name));
				l.client.drop();
			}
		}, async (d, archive) => {
			for (const name of NAMES) {
				const page = await pages(d, name);
				assert.deepEqual(page, seen.get(name));
				assert.equal(page.publications[0].info.user,
				    name.replaceAll('"', '_'));
				assert.equal(page.publications[0].data, name);
			}
			assert.equal(archive.value('SELECT count(*) FROM channel ' +
			    "WHERE name LIKE 'told%'"), NAMES.length);
		});
	}, {limit: 60000});

	test('tags and information of a backend', () => {
		let seen;
		return both(async (d) => {
			await api(d, 'publish', {channel: 'told', data: {a: 1},
			    tags: {k: 'v', 'ä': '"'}});
			await api(d, 'publish', {channel: 'told', data: 'x'});
			seen = await pages(d, 'told');
			assert.deepEqual(seen.publications[0].tags,
			    {k: 'v', 'ä': '"'});
		}, async (d) => {
			assert.deepEqual(await pages(d, 'told'), seen);
		}, `api-key "${API_KEY}"\n`);
	}, {limit: 60000});

	test('messages of a megabyte', () => {
		const data = Array.from({length: 4}, (_, k) =>
		    String.fromCharCode(97 + k).repeat(1000000 + k));
		return both(async (d) => {
			const l = await Line.connected(d, '?user=a');
			for (const text of data) {
				const r = await l.ask('publish',
				    {channel: 'acked', data: text});
				assert.ok(r.publish, JSON.stringify(r)
				    .slice(0, 200));
			}
		}, async (d) => {
			const l = await Line.connected(d, '?user=b');
			const {history} = await l.ask('history',
			    {channel: 'acked'});
			let offset = 0, all = [];
			while (all.length < 4) {
				const r = await l.ask('history', {channel: 'acked',
				    limit: 10, since: {offset,
					epoch: history.epoch}});
				assert.ok(r.history?.publications.length > 0,
				    JSON.stringify(r).slice(0, 300));
				all = all.concat(r.history.publications);
				offset = all.at(-1).offset;
			}
			assert.deepEqual(all.map((p) => p.data.length),
			    data.map((t) => t.length));
			assert.ok(all.every((p, k) => p.data === data[k]));
		}, 'message-size 2M\njournal 32M\nqueue 16M\n' +
		    'input-memory 64M\noutput-memory 256M\n');
	}, {limit: 60000});

	test('a user\'s own channel is recovered', async () => {
		const runs = new Runs('channel "#*" {\n\thistory 100\n' +
		    '\trecovery yes\n\tstore yes\n}\n');
		try {
			let epoch;
			await runs.run(async (d) => {
				const b = await Line.connected(d, '?user=bob');
				const a = await Line.connected(d, '?user=alice');
				for (let k = 1; k <= 5; k++)
					assert.ok((await a.ask('rpc', {method:
					    'message', data: {to: 'bob', data: k}}))
					    .rpc);
				/* who connects does not wait for the channel */
				const {subs} = b.welcome.connect;
				epoch = subs?.['#bob'].epoch;
				for (let n = 0; n < 5;) {
					const push = await b.push();
					epoch ??= push.subscribe?.epoch;
					n += push.pub ? 1 : 0;
				}
				assert.ok(epoch);
			});
			await runs.run(async (d) => {
				const b = await Line.connected(d, '?user=bob',
				    {subs: {'#bob': {recover: true, offset: 2,
					epoch}}});
				const s = b.welcome.connect.subs['#bob'];
				assert.equal(s.recovered, true,
				    JSON.stringify(s));
				assert.deepEqual(s.publications.map((p) => p.data),
				    [3, 4, 5]);
				assert.equal(s.epoch, epoch);
			});
		} finally {
			runs.end();
		}
	}, {limit: 60000});

	test('more channels than there is place for', () => both(
	    async (d, archive) => {
		const l = await Line.connected(d, '?user=a');
		for (let k = 0; k < 600; k++) {
			let r;
			await until(`channel ${k}`, async () => {
				r = await l.ask('publish',
				    {channel: `told-${k}`, data: k});
				return r.publish;
			}).catch((error) => {
				throw new Error(`${error.message}: ` +
				    JSON.stringify(r));
			});
		}
		await archive.whole(d);
		assert.equal(archive.value('SELECT count(*) FROM channel WHERE ' +
		    "name LIKE 'told-%'"), 600);
		for (let k = 0; k < 600; k += 7) {
			const {publications, offset} = await pages(d, `told-${k}`);
			assert.deepEqual(publications.map((p) => p.data), [k]);
			assert.equal(offset, 1);
		}
	}, async (d) => {
		for (let k = 0; k < 600; k += 11)
			assert.deepEqual((await pages(d, `told-${k}`)).publications
			    .map((p) => p.data), [k]);
	}, 'channels 128\n'), {limit: 90000});

	test('with `history 0` rows are kept, and no client is given any', () =>
	    both(async (d, archive) => {
		const l = await Line.connected(d, '?user=a');
		assert.ok((await l.ask('publish', {channel: 'none', data: 1}))
		    .publish);
		await archive.whole(d);
		assert.equal(archive.count('none'), 1);
		await l.refused('history', {channel: 'none', limit: 10}, 108);
	}, async (d, archive) => {
		const l = await Line.connected(d, '?user=a');
		assert.ok((await l.ask('publish', {channel: 'none', data: 2}))
		    .publish);
		await archive.whole(d);
		assert.deepEqual(archive.judge('none').map((m) => m.offset),
		    [1, 2]);
	}, 'channel "none" {\n\tsubscribe all\n\tpublish all\n\tstore yes\n}\n'),
	{limit: 60000});

	test('`history` and `history-age` bound what is shown', () => both(
	    async (d) => {
		const l = await Line.connected(d, '?user=a');
		for (let k = 1; k <= 30; k++)
			await l.ask('publish', {channel: 'few', data: k});
		assert.equal((await pages(d, 'few')).publications.length, 10);
	}, async (d) => {
		const few = await pages(d, 'few');
		assert.deepEqual(few.publications.map((p) => p.data),
		    [21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
	}, `channel "few" {${RULES.replace(/history \d+/, 'history 10')}` +
	    '\tstore yes\n}\n'), {limit: 60000});

	test('a daemon that is not root', async () => {
		if (process.getuid() !== 0)
			return;
		const user = {uid: 65534, gid: 65534};
		const archive = new Archive();
		try {
			for (let k = 1; k <= 2; k++) {
				const d = await Daemon.start({conf: archive.conf() +
				    CHANNELS, workers: 2, user});
				const l = await Line.connected(d, '?user=a');
				assert.ok((await l.ask('publish',
				    {channel: 'acked', data: k})).publish);
				l.client.drop();
				await d.stop('SIGTERM', 15000);
				assert.equal(archive.judge('acked').length, k);
			}
		} finally {
			archive.remove();
		}
	}, {limit: 60000});

	test('a folder that it may not write, or that is not there', async () => {
		const archive = new Archive();
		try {
			const conf = `${archive.dir}/chatd.conf`;
			fs.writeFileSync(conf, `store "${archive.dir}/none/x.db"\n`);
			const r = await run(CHATD, ['-n', '-f', conf]);
			assert.notEqual(r.status, 0);
			assert.match(r.stderr, /none/);
			if (process.getuid() !== 0)
				return;
			fs.chmodSync(archive.dir, 0o755);
			const d = await Daemon.start({conf: archive.conf() +
			    CHANNELS, workers: 2});
			const {reason} = await becomes(d, 'read-only');
			assert.match(reason, /writable/);
			const l = await Line.connected(d, '?user=a');
			assert.ok((await l.ask('publish', {channel: 'plain',
			    data: 1})).publish);
			/* `store yes` goes on, and is stored later */
			assert.ok((await l.ask('publish', {channel: 'told',
			    data: 1})).publish);
			await l.refused('publish', {channel: 'acked', data: 1}, 100);
			fs.chmodSync(archive.dir, 0o777);
			await becomes(d, 'ok');
			for (const channel of ['told', 'acked'])
				assert.ok((await l.ask('publish', {channel,
				    data: 2})).publish);
			await archive.whole(d);
			assert.equal(archive.judge('told').length, 2);
			assert.equal(archive.judge('acked').length, 1);
			l.client.drop();
			await d.stop('SIGTERM', 15000);
		} finally {
			await Daemon.killAll();
			archive.remove();
		}
	}, {limit: 60000});
});
