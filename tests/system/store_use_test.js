/*
 * What people do with what is stored: messages for those who are away for days,
 * search, backup, export, erasing a user, and how long things are kept.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {group} = require('./suite.js');
const {Daemon, patience, until} = require('./daemon.js');
const {Client} = require('./client.js');
const {Line, sdk, subscribed} = require('./centrifugo.js');
const {API_KEY, Archive, CHANNELS, RULES, api, noise, rules, storing} =
    require('../fault/archive.js');

const AWAY = `channel "#*" {
	history 100
	recovery yes
	store yes
	offline yes
}
`;
const MANY = 100; /* told of those that came while a user was away */

/* Another daemon with that archive. */
async function again(archive, conf, body) {
	const d = await Daemon.start({conf: archive.conf() + conf, workers: 2});
	try {
		await body(d);
	} finally {
		Client.dropAll();
	}
	await d.stop('SIGTERM', 15000);
}

/* What bob is told first when he comes: count, and lines. */
async function comes(d, name) {
	const c = await Client.user(d.port, name);
	const first = await c.heard();
	const m = /^\* (\d+) messages? since (.+)$/.exec(first);
	assert.ok(m, first);
	const lines = [];
	for (let k = 0; k < Number(m[1]); k++)
		lines.push(await c.heard());
	await c.quiet();
	return {client: c, lines, since: m[2]};
}

group('away', null, (test) => {
	test('at the plain door', async () => {
		const archive = new Archive();
		try {
			await again(archive, CHANNELS + AWAY, async (d) => {
				const a = await Client.user(d.port, 'alice');
				a.text('/msg bob too early');
				assert.equal(await a.heard(),
				    '* bob is not connected');
				const b = await Client.user(d.port, 'bob');
				a.text('/msg bob here');
				/* that may be among what came meanwhile */
				while (await b.heard() !== 'alice whispers: here')
					;
				await b.close();
				await until('bob has gone', async () =>
				    (await d.json('show', 'users')).length === 1);
				a.text('/msg bob one');
				a.text('/msg bob two');
				a.text('/msg nobody one');
				assert.equal(await a.heard(),
				    '* nobody is not connected');
				await a.close();
				await archive.whole(d);
			});
			await again(archive, CHANNELS + AWAY, async (d) => {
				const {client, lines, since} = await comes(d, 'bob');
				assert.deepEqual(lines, ['alice whispers: one',
				    'alice whispers: two']);
				assert.match(since, /\d{4}/);
				const a = await Client.user(d.port, 'alice');
				a.text('/msg bob three');
				assert.equal(await client.heard(),
				    'alice whispers: three');
				await client.close();
				/* nothing comes twice */
				const b = await Client.user(d.port, 'bob');
				await b.quiet();
			});
		} finally {
			archive.remove();
		}
	}, {limit: 60000});

	test(`at most ${MANY} are told`, () => storing(async (d, archive) => {
		await (await Client.user(d.port, 'bob')).close();
		const a = await Client.user(d.port, 'alice');
		await until('bob is gone', async () =>
		    (await d.json('show', 'users')).length === 1);
		for (let k = 0; k < 150; k++)
			a.text(`/msg bob ${k}`);
		await a.quiet();
		await archive.whole(d);
		const c = await Client.user(d.port, 'bob');
		const first = await c.heard();
		console.log(`     ${first}`);
		assert.match(first, /^\* 1[05]0 messages since /);
		const lines = [];
		for (let k = 0; k < MANY; k++)
			lines.push(await c.heard());
		assert.equal(lines.at(-1), 'alice whispers: 149');
		assert.equal(lines[0], 'alice whispers: 50');
		await c.quiet();
	}, {channels: CHANNELS + AWAY}), {limit: 60000});

	test('at the Centrifugo door, from its own position or without one', () =>
	    storing(async (d, archive) => {
		const b = sdk(d, '?user=bob'), heard = [];
		b.on('publication', (p) => heard.push(p.data));
		await b.ready(5000);
		const a = sdk(d, '?user=alice');
		await a.ready(5000);
		await a.rpc('message', {to: 'bob', data: 1});
		await until('heard', () => heard.length === 1);
		b.disconnect();
		await until('bob is gone', async () =>
		    (await d.json('show', 'users')).length === 1);
		await a.rpc('message', {to: 'bob', data: 2});
		await archive.whole(d);
		b.connect();
		await until('from its position', () => heard.length === 2);
		assert.deepEqual(heard, [1, 2]);
		b.disconnect();
		await until('bob is gone', async () =>
		    (await d.json('show', 'users')).length === 1);
		await a.rpc('message', {to: 'bob', data: 3});
		await archive.whole(d);
		/* another device, which has no position */
		const c = sdk(d, '?user=bob'), came = [];
		c.on('publication', (p) => came.push(p.data));
		await c.ready(5000);
		await until('without one', () => came.includes(3));
		assert.equal(new Set(came).size, came.length);
	}, {channels: CHANNELS + AWAY}), {limit: 60000});

	test('after the death of all it is told, perhaps twice', async () => {
		const archive = new Archive();
		try {
			await storing(async (d) => {
				await (await Client.user(d.port, 'bob')).close();
				const a = await Client.user(d.port, 'alice');
				await until('bob is gone', async () => (await
				    d.json('show', 'users')).length === 1);
				a.text('/msg bob one');
				await a.quiet();
				await archive.whole(d);
				await d.kill();
			}, {archive, keep: true, channels: CHANNELS + AWAY,
			    sound: false});
			await again(archive, CHANNELS + AWAY, async (d) => {
				const {lines} = await comes(d, 'bob');
				assert.deepEqual(lines, ['alice whispers: one']);
			});
		} finally {
			archive.remove();
		}
	}, {limit: 60000});
});

group('use', null, (test) => {
	test('backup', async () => {
		const folder = fs.mkdtempSync(path.join(
		    os.tmpdir(), 'backup-'));
		fs.chmodSync(folder, 0o1777);
		try {
			await storing(async (d, archive) => {
				await noise(d, 'told', {n: 3000});
				await archive.whole(d);
				const made = noise(d, 'told-b', {n: 1000});
				made.catch(() => {});
				const r = await d.ctl('backup');
				assert.equal(r.status, 0, r.stderr);
				console.log(`     ${r.stdout.trim()}`);
				await made;
				const [name, ...more] = fs.readdirSync(folder);
				assert.deepEqual(more, []);
				const file = path.join(folder, name);
				archive.check(file);
				assert.equal(archive.value(`SELECT count(*) FROM
				    publication p JOIN channel c ON c.id = p.channel
				    WHERE c.name = 'told'`, file), 3000);
				/* nobody else may read it */
				assert.equal(fs.statSync(file).mode & 0o077, 0);
				/* no process is left */
				assert.deepEqual((await d.json('show',
				    'processes')).filter((p) =>
				    p.kind === 'store-task' && p.pid), []);
			}, {conf: `store-backup "${folder}"\n`});
		} finally {
			fs.rmSync(folder, {recursive: true});
		}
	}, {limit: 60000});

	test('no backup without its key', () => storing(async (d) => {
		const r = await d.ctl('backup');
		assert.notEqual(r.status, 0);
		assert.match(r.stderr, /store-backup/);
	}), {limit: 60000});

	test('export', () => storing(async (d, archive) => {
		const a = await Client.user(d.port, 'alice');
		for (let k = 0; k < 20; k++)
			a.text(`/to told text ${k} "quoted"`);
		await a.quiet();
		await noise(d, 'told', {n: 10});
		await archive.whole(d);
		const r = await d.ctl('export', 'alice');
		assert.equal(r.status, 0, r.stderr);
		const lines = r.stdout.trim().split('\n').map((v) =>
		    JSON.parse(v));
		const said = lines.filter((v) => v.channel === 'told');
		console.log(`     ${JSON.stringify(said[0])}`);
		assert.equal(said.filter((v) => JSON.stringify(v)
		    .includes('text ')).length, 20);
		assert.ok(!r.stdout.includes('noise'));
	}), {limit: 60000});

	test('a user is erased', () => storing(async (d, archive) => {
		const a = await Client.user(d.port, 'alice');
		const b = await Client.user(d.port, 'bob');
		for (let k = 0; k < 10; k++) {
			a.text(`/to told secret ${k}`);
			await a.quiet();
			b.text(`/to told answer ${k}`);
			await b.quiet();
		}
		await archive.whole(d);
		const l = await Line.connected(d, '?user=carol');
		const {subscribe: {epoch}} = await l.ask('subscribe',
		    {channel: 'told'});
		const r = await d.ctl('erase', 'alice');
		assert.equal(r.status, 0, r.stderr);
		console.log(`     ${r.stdout.trim()}`);
		assert.match(r.stdout, /\b10\b/);
		assert.match(r.stdout, /backup/);
		const rows = archive.rows(`SELECT p.offset, p.before, p.user,
		    p.data, p.info, p.tags, p.erased FROM publication p JOIN
		    channel c ON c.id = p.channel WHERE c.name = 'told'
		    ORDER BY p.id`);
		assert.deepEqual(rows.map((p) => [p.offset, p.before]),
		    Array.from({length: 20}, (_, k) => [k + 1, k]));
		rows.forEach((p, k) => {
			if (k % 2 === 1) {
				assert.equal(p.user, 'bob');
				return;
			}
			assert.deepEqual([p.user, p.data, p.info, p.tags],
			    [null, null, null, null]);
			assert.ok(p.erased);
		});
		/* nowhere in the files */
		for (const file of fs.readdirSync(archive.dir))
			assert.ok(!fs.readFileSync(path.join(archive.dir, file))
			    .includes('secret'), `it stands in ${file}`);
		/* nor in history, recovery, ring */
		const texts = (r) => JSON.stringify(r);
		const pages = [await l.ask('history', {channel: 'told',
		    limit: 100}), await (await Line.connected(d, '?user=dave'))
		    .ask('subscribe', {channel: 'told', recover: true, offset: 0,
			epoch})];
		b.text('/history told 100');
		const plain = await b.heard();
		for (const text of [...pages.map(texts), plain]) {
			assert.ok(!text.includes('secret'), text);
			assert.ok(text.includes('answer 9'), text);
		}
		/* what alice says now is hers again */
		a.text('/to told new');
		await a.quiet();
		assert.ok(texts(await l.ask('history', {channel: 'told',
		    limit: 100})).includes('new'));
	}), {limit: 60000});

	test('search', () => storing(async (d, archive) => {
		const a = sdk(d, '?user=alice');
		await a.ready(5000);
		const sub = await subscribed(a, 'told');
		for (const text of ['coffee is ready', 'the machine is broken',
		    'coffee again', 'Kaffee für alle'])
			await sub.publish({text});
		await sdk(d, '?user=bob').publish('told-secret',
		    {text: 'coffee elsewhere'});
		await archive.whole(d);
		const {result} = await api(d, 'search', {text: 'coffee',
		    channel: 'told'});
		console.log(`     ${JSON.stringify(result).slice(0, 300)}`);
		assert.equal(JSON.stringify(result).match(/coffee/g).length, 2);
		const all = await api(d, 'search', {text: 'coffee'});
		assert.equal(JSON.stringify(all.result).match(/coffee/g).length,
		    3);
		const own = await a.rpc('search', {text: 'coffee',
		    channel: 'told'});
		assert.equal(JSON.stringify(own.data).match(/coffee/g).length, 2);
		await assert.rejects(a.rpc('search', {text: 'coffee',
		    channel: 'told-secret'}));
	}, {conf: `store-search yes\napi-key "${API_KEY}"\n`}), {limit: 60000});

	test('no search without its key', () => storing(async (d) => {
		assert.ok((await api(d, 'search', {text: 'coffee'})).error);
	}, {conf: `api-key "${API_KEY}"\n`}), {limit: 60000});

	test('a channel keeps its `history`, oldest go first', () => storing(
	    async (d, archive) => {
		await noise(d, 'few', {n: 3000, bytes: 100});
		await noise(d, 'told', {n: 100});
		await archive.whole(d);
		await until('what is too much is gone', () =>
		    archive.count('few') <= 60, 30000);
		const rows = archive.messages('few');
		assert.ok(rows.length >= 50, `${rows.length}`);
		assert.equal(rows.at(-1).offset, 3000);
		assert.equal(rows[0].offset, 3001 - rows.length);
		assert.equal(archive.count('told'), 100);
	}, {conf: `channel "few" {${RULES.replace(/history \d+/,
	    'history 50')}\tstore yes\n}\n`}), {limit: 60000});

	test('`store-age`', () => storing(async (d, archive) => {
		await noise(d, 'told', {n: 300});
		await archive.whole(d);
		const l = await Line.connected(d, '?user=a');
		await until('all is too old', () => archive.count('told') === 0,
		    30000);
		assert.ok((await l.ask('publish', {channel: 'told', data: 1}))
		    .publish);
		await archive.whole(d);
		assert.equal(archive.messages('told')[0]?.offset, 301);
	}, {conf: 'store-age 3s\n'}), {limit: 60000});

	test('`store-size`', () => storing(
	    async (d, archive) => {
		await noise(d, 'told', {n: 8000, bytes: 1000});
		await archive.whole(d);
		const size = () => fs.statSync(archive.file).size;
		await until('the file is small again', () =>
		    size() <= (4 << 20) * 1.3, 40000).catch((error) => {
			throw new Error(`${error.message}: ${size()}`);
		});
		const rows = archive.messages('told');
		assert.equal(rows.at(-1).offset, 8000);
		assert.ok(rows.length > 1000, `${rows.length}`);
		assert.equal(rows[0].offset, 8001 - rows.length);
		archive.judge('told');
	}, {conf: 'store-size 4M\n'}), {limit: 90000});
});

group('turned', null, (test) => {
	const CHANNEL = rules('room*', '\tstore yes\n');
	const NOT = rules('room*');
	const ENOUGH = 10; /* connections in a row, at any worker */
	const talk = async (d, from, to) => {
		const l = await Line.connected(d, '?user=a');
		for (let k = from; k <= to; k++)
			assert.ok((await l.ask('publish',
			    {channel: 'room', data: k})).publish);
		const {history} = await l.ask('history',
		    {channel: 'room', limit: 100});
		l.client.drop();
		return history;
	};

	/* Workers have that rule, each some time after the master. */
	const applied = (d, stored) => {
		let n = 0;
		return until('workers have the rule', async () => {
			const l = await Line.connected(d, '?user=probe');
			await l.ask('publish', {channel: 'room-probe', data: 1});
			l.client.drop();
			const [e] = (await d.json('show', 'journal',
			    'room-probe', '1'));
			n = JSON.stringify(e).includes('"store"') === stored ?
			    n + 1 : 0;
			return n === ENOUGH;
		});
	};

	test('on and off for a channel, by a reload', () => storing(
	    async (d, archive) => {
		const put = async (channel) => {
			fs.writeFileSync(d.conf, archive.conf() + channel);
			const r = await d.ctl('reload');
			assert.equal(r.status, 0, r.stderr);
			await applied(d, channel === CHANNEL);
		};
		await talk(d, 1, 3);
		await put(CHANNEL);
		const {epoch} = await talk(d, 4, 6);
		await archive.whole(d);
		assert.deepEqual(archive.messages('room').map((m) =>
		    [m.offset, m.before]), [[4, 3], [5, 4], [6, 5]]);
		await put(NOT);
		await talk(d, 7, 8);
		await put(CHANNEL);
		const h = await talk(d, 9, 9);
		assert.deepEqual(h.publications.map((p) => p.offset),
		    [1, 2, 3, 4, 5, 6, 7, 8, 9]);
		assert.equal(h.epoch, epoch);
		await archive.whole(d);
		assert.deepEqual(archive.messages('room').map((m) =>
		    [m.offset, m.before]), [[4, 3], [5, 4], [6, 5], [9, 8]]);
		await d.stop('SIGTERM', 15000);
		await again(archive, CHANNEL, async (e) => {
			const {publications, epoch, offset} =
			    await talk(e, 10, 10);
			assert.equal(offset, 10);
			/* nothing stands behind a gap as if there were none */
			assert.deepEqual(publications.map((p) => p.offset),
			    [4, 5, 6]);
			const l = await Line.connected(e, '?user=b');
			await l.refused('history', {channel: 'room', limit: 9,
			    since: {offset: 6, epoch}}, 112);
			let since;
			for (const want of [[10, 9], [6, 5, 4], []]) {
				const r = await l.ask('history', {channel: 'room',
				    limit: 9, reverse: true, since});
				assert.deepEqual(r.history?.publications.map((p) =>
				    p.offset), want, JSON.stringify(r));
				since = {offset: want.at(-1), epoch};
			}
		});
	}, {channels: NOT}), {limit: 60000});

	test('on and off for all, by an upgrade', async () => {
		const archive = new Archive();
		const d = await Daemon.start({conf: NOT, workers: 2});
		try {
			const put = async (conf) => {
				fs.writeFileSync(d.conf, conf);
				const r = await d.ctl('upgrade');
				assert.equal(r.status, 0, r.stderr);
				await until('all are replaced', async () =>
				    (await d.json('show', 'upgrade')).state ===
				    'done', 20000);
			};
			await talk(d, 1, 3);
			await put(archive.conf() + CHANNEL);
			await talk(d, 4, 6);
			await archive.whole(d);
			assert.deepEqual(archive.messages('room').map((m) =>
			    m.offset), [4, 5, 6]);
			await put(NOT);
			await talk(d, 7, 8);
			await until('it is gone', async () => !(await d.json('show',
			    'processes')).some((p) => /store/.test(p.kind) &&
			    p.pid));
			await put(archive.conf() + CHANNEL);
			const h = await talk(d, 9, 9);
			assert.equal(h.offset, 9);
			await archive.whole(d);
			archive.judge('room', {holes: true});
			await d.stop('SIGTERM', 15000);
		} finally {
			Client.dropAll();
			await d.kill();
			archive.remove();
		}
	}, {limit: 60000});
});

group('waits', null, (test) => {
	test('a backend waits for what is answered when it is stored', () =>
	    storing(async (d, archive) => {
		for (let k = 0; k < 20; k++)
			for (const channel of ['acked', 'strict']) {
				const {result} = await api(d, 'publish',
				    {channel, data: k});
				assert.equal(result?.offset, k + 1);
				assert.equal(archive.messages(channel).at(-1)
				    ?.offset, k + 1);
			}
		await archive.whole(d);
		assert.equal(archive.judge('acked').length, 20);
		assert.equal(archive.judge('strict').length, 20);
	}, {conf: `api-key "${API_KEY}"\n`}), {limit: 60000});

	test('a backend reads what the ring has no more', () => storing(
	    async (d, archive) => {
		await noise(d, 'told', {n: 1500, bytes: 1500});
		await archive.whole(d);
		const {result: {epoch}} = await api(d, 'history',
		    {channel: 'told'});
		const {result} = await api(d, 'history', {channel: 'told',
		    limit: 50, since: {offset: 10, epoch}});
		assert.deepEqual(result.publications.map((p) => p.offset),
		    Array.from({length: 50}, (_, k) => 11 + k));
	}, {conf: `api-key "${API_KEY}"\njournal 1M\n`}), {limit: 60000});

	test('the channels that were published to last are open at the start',
	    async () => {
		const archive = new Archive();
		try {
			await again(archive, CHANNELS, async (d) => {
				await noise(d, 'told', {n: 20});
				await noise(d, 'told-b', {n: 20});
				await archive.whole(d);
			});
			await again(archive, CHANNELS, async (d) => {
				const {pid} = (await d.json('show', 'processes'))
				    .find((p) => p.kind === 'store');
				process.kill(pid, 'SIGSTOP');
				const l = await Line.connected(d, '?user=a');
				for (const channel of ['told', 'told-b']) {
					const begin = performance.now();
					const {subscribe} = await l.ask('subscribe',
					    {channel});
					assert.equal(subscribe?.offset, 20);
					assert.ok(performance.now() - begin < 1000 * patience());
					const {history} = await l.ask('history',
					    {channel, limit: 5, reverse: true});
					assert.deepEqual(history.publications
					    .map((p) => p.offset),
					    [20, 19, 18, 17, 16]);
				}
				process.kill(pid, 'SIGCONT');
				l.client.drop();
			});
		} finally {
			archive.remove();
		}
	}, {limit: 60000});
});
