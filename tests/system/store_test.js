/*
 * What is stored is there after a restart, the death of all processes, and with
 * memory that a service manager has kept; clients come back to it by Centrifugo's
 * own client, page back beyond the ring, and other programs read it meanwhile.
 */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const {group} = require('./suite.js');
const {Daemon, freePort, pause, until} = require('./daemon.js');
const {Client} = require('./client.js');
const {Managed} = require('./managed.js');
const {Line, event, sdk, sdkLeave, subscribed} = require('./centrifugo.js');
const {Archive, CHANNELS, LEAP, killAll, noise, rules, state, storing} =
    require('../fault/archive.js');

const LOBBY = rules('lobby', '\tstore yes\n');
const MANY = 10000;

/* Two runs of a daemon on one port with one archive; between() ends the first.
 * The clients of Centrifugo's SDK stay. */
async function twice(first, between, second, options = {}) {
	const archive = new Archive(), port = await freePort();
	try {
		const conf = archive.conf() + CHANNELS + LOBBY +
		    (options.conf ?? '');
		const d = await Daemon.start({conf, port, workers: 2});
		await first(d, archive);
		await between(d, archive);
		const e = await Daemon.start({conf, port, workers: 2});
		await second(e, archive);
		sdkLeave();
		Client.dropAll();
		await e.stop('SIGTERM', 15000);
		archive.check();
	} finally {
		sdkLeave();
		await Daemon.killAll();
		archive.remove();
	}
}

/* Publishes by the SDK. */
async function say(client, channel, from, to) {
	for (let k = from; k <= to; k++)
		await client.publish(channel, k);
}

/* Somebody's next line that does not begin with a star. */
async function said(c) {
	for (;;) {
		const text = await c.heard();
		if (!text.startsWith('* '))
			return text;
	}
}

/* Publishes by hand. */
async function publish(l, channel) {
	const r = await l.ask('publish', {channel, data: 1});
	assert.ok(r.publish, JSON.stringify(r));
}

/* Another configuration. */
async function reload(d, conf) {
	fs.writeFileSync(d.conf, conf);
	const r = await d.ctl('reload');
	assert.equal(r.status, 0, r.stderr);
}

/* What a plain client is answered to /history. */
async function history(c, room, n = 10) {
	c.text(`/history ${room} ${n}`);
	for (;;) {
		const text = await c.heard();
		if (text.startsWith('* history of '))
			return text.split('\n').slice(1);
	}
}

/* A client of the SDK hears 1 to 3, is away, comes back to another daemon that
 * has 4 and 5, and hears what is said there. stop(d) ends the first one. leap:
 * how far offsets go on. */
function comesBack(stop, leap) {
	let a, sub, other, epoch, again;
	return twice(async (d, archive) => {
		const b = sdk(d, '?user=bob');
		a = sdk(d, '?user=alice');
		await Promise.all([a.ready(5000), b.ready(5000)]);
		sub = await subscribed(a, 'told');
		other = await subscribed(a, 'acked');
		({epoch} = sub.context.streamPosition);
		await say(b, 'told', 1, 3);
		await say(b, 'acked', 1, 3);
		await until('heard', () => sub.heard.length === 3 &&
		    other.heard.length === 3);
		a.disconnect();
		await say(b, 'told', 4, 5);
		await say(b, 'acked', 4, 5);
		b.disconnect();
		await archive.whole(d);
	}, stop, async (d) => {
		again = [event(sub, 'subscribed'), event(other, 'subscribed')];
		a.connect();
		for (const context of await Promise.all(again)) {
			assert.equal(context.wasRecovering, true);
			assert.equal(context.recovered, true);
			assert.equal(context.streamPosition.offset, 5 + leap);
		}
		await until('what was missed', () => sub.heard.length === 5 &&
		    other.heard.length === 5);
		await say(a, 'told', 6, 7);
		await until('what is new', () => sub.heard.length === 7);
		assert.deepEqual(sub.heard.map((p) => p.data),
		    [1, 2, 3, 4, 5, 6, 7]);
		assert.deepEqual(sub.heard.map((p) => p.offset),
		    [1, 2, 3, 4, 5, 6 + leap, 7 + leap]);
		const page = await sub.history({limit: 100});
		assert.equal(page.epoch, epoch);
		assert.deepEqual(page.publications.map((p) => p.data),
		    [1, 2, 3, 4, 5, 6, 7]);
	});
}

group('store', null, (test) => {
	test('a restart: the talk is there', () => twice(async (d) => {
		const [a, b] = [await Client.user(d.port, 'alice'),
		    await Client.user(d.port, 'bob')];
		a.text('hello');
		assert.equal(await said(b), 'alice says: hello');
		b.text('/join told');
		assert.equal(await b.heard(), '* joined told');
		b.text('/to told a room');
		assert.equal(await said(b), '[told] bob says: a room');
		await a.close();
		await b.close();
	}, (d) => d.stop(), async (d) => {
		const c = await Client.user(d.port, 'carol');
		assert.deepEqual(await history(c, 'lobby'),
		    ['* [lobby] alice says: hello']);
		assert.deepEqual(await history(c, 'told'),
		    ['* [told] bob says: a room']);
		c.text('and on');
		assert.equal(await said(c), 'carol says: and on');
		assert.deepEqual(await history(c, 'lobby'), [
		    '* [lobby] alice says: hello',
		    '* [lobby] carol says: and on']);
	}), {limit: 60000});

	test('the SDK comes back after a restart', () =>
	    comesBack((d) => d.stop(), 0), {limit: 60000});
	test('and after the death of all processes', () =>
	    comesBack(killAll, LEAP), {limit: 60000});

	test('a channel that keeps one message has it after the death of all',
	    () => twice(async (d, archive) => {
		const a = sdk(d, '?user=alice');
		await a.ready(5000);
		await say(a, 'one', 1, 2);
		await archive.whole(d);
	}, killAll, async (d, archive) => {
		const sub = await subscribed(sdk(d, '?user=bob'), 'one');
		const page = await sub.history({limit: 100});
		assert.deepEqual(page.publications.map((p) => p.data), [2]);
		assert.equal(page.offset, 2 + LEAP);
		await until('the one before is deleted', () =>
		    archive.count('one') === 1, 20000);
		assert.equal(archive.messages('one')[0].offset, 2);
	}, {conf: 'channel "one" {\n\tsubscribe all\n\tpublish all\n' +
	    '\thistory 1\n\trecovery yes\n\tstore yes\n}\n'}), {limit: 60000});

	test('what was told and not stored is told as lost', () => {
		let sub, a, again;
		return twice(async (d, archive) => {
			a = sdk(d, '?user=alice');
			await a.ready(5000);
			sub = await subscribed(a, 'told');
			await say(a, 'told', 1, 3);
			await archive.whole(d);
			const store = (await d.json('show', 'processes'))
			    .find((p) => p.kind === 'store');
			process.kill(store.pid, 'SIGSTOP');
			await say(a, 'told', 4, 5);
			await until('heard', () => sub.heard.length === 5);
			/* it may come before the start is known here */
			again = event(sub, 'subscribed', 20000);
			again.catch(() => {}); /* awaited below */
		}, killAll, async () => {
			const context = await again;
			assert.equal(context.wasRecovering, true);
			assert.equal(context.recovered, false);
			await say(a, 'told', 6, 6);
			await until('what is new', () => sub.heard.length === 6);
			assert.ok(sub.heard[5].offset > LEAP);
			const page = await sub.history({limit: 100});
			assert.deepEqual(page.publications.map((p) => p.data),
			    [1, 2, 3, 6]);
		});
	}, {limit: 60000});

	for (const again of [false, true])
		test('offsets that were told while nothing was stored' +
		    (again ? ', and it is again' : ''), () => {
			let told;
			return twice(async (d, archive) => {
				const l = await Line.connected(d, '?user=a');
				const {epoch} = (await l.ask('subscribe',
				    {channel: 'told'})).subscribe;
				await publish(l, 'told');
				await reload(d, archive.conf() +
				    CHANNELS.replace('\tstore yes\n', ''));
				await until('nothing is stored', async () => {
					await publish(l, 'told');
					await archive.whole(d);
					const {offset} = (await l.ask('history',
					    {channel: 'told'})).history;
					return archive.channel('told').top < offset;
				});
				await publish(l, 'told');
				if (again)
					await reload(d, archive.conf() + CHANNELS);
				told = {epoch, offset: (await l.ask('history',
				    {channel: 'told'})).history.offset};
			}, (d) => d.stop(), async (d, archive) => {
				const l = await Line.connected(d, '?user=a');
				const s = (await l.ask('subscribe', {channel:
				    'told', recover: true, ...told})).subscribe;
				assert.equal(s.epoch, told.epoch);
				assert.equal(s.recovered, true);
				assert.equal(s.offset, told.offset);
				await publish(l, 'told');
				/* who missed what was not stored is told so */
				const m = await Line.connected(d, '?user=b');
				const n = (await m.ask('subscribe',
				    {channel: 'told', recover: true,
					epoch: told.epoch, offset: 1})).subscribe;
				assert.notEqual(n.recovered, true);
				assert.equal(n.offset, told.offset + 1);
				await archive.whole(d);
				archive.judge('told', {holes: true});
			});
		}, {limit: 60000});

	test('a copy is put in its place', async () => {
		const archive = new Archive(), copy = `${archive.file}.copy`;
		const backup = `${archive.file}.backup`, epochs = [];
		const talk = async (d) => {
			const l = await Line.connected(d, '?user=a');
			const {subscribe} = await l.ask('subscribe',
			    {channel: 'told'});
			for (let k = 0; k < 3; k++)
				await publish(l, 'told');
			await archive.whole(d);
			epochs.push(subscribe.epoch);
		};
		const run = (body = talk) => storing(body, {archive, keep: true});
		try {
			await run();
			fs.copyFileSync(archive.file, copy);
			await run(async (d) => {
				await talk(d);
				execFileSync('sqlite3', [archive.file,
				    `VACUUM INTO '${backup}'`]);
				await talk(d);
			});
			assert.equal(new Set(epochs).size, 1);
			/* one of a clean end, and one of while it ran */
			for (const file of [copy, backup]) {
				fs.copyFileSync(file, archive.file);
				await run(async (d) => {
					await d.logged(/a copy, or moved/);
					await talk(d);
					archive.judge('told');
				});
			}
			assert.equal(new Set(epochs).size, 3);
			await run(talk);
			assert.equal(new Set(epochs).size, 3);
			/* and one that came without what is noted */
			fs.unlinkSync(`${archive.file}-lock`);
			await run(async (d) => {
				await d.logged(/no time is noted/);
				await talk(d);
			});
			assert.equal(new Set(epochs).size, 4);
		} finally {
			archive.remove();
		}
	}, {limit: 60000});

	test('with memory that was kept nothing leaps', async () => {
		const archive = new Archive();
		const m = await Managed.start(archive.conf() + CHANNELS);
		try {
			const a = sdk(m, '?user=alice');
			await a.ready(5000);
			const sub = await subscribed(a, 'told');
			for (let round = 0; round < 3; round++) {
				await say(a, 'told', 3 * round + 1, 3 * round + 3);
				await until('heard', () =>
				    sub.heard.length === 3 * round + 3);
				const again = event(sub, 'subscribed', 20000);
				again.catch(() => {}); /* awaited below */
				await m.kill();
				await m.again();
				const context = await again;
				assert.equal(context.recovered, true);
			}
			assert.deepEqual(sub.heard.map((p) => [p.offset, p.data]),
			    Array.from({length: 9}, (_, k) => [k + 1, k + 1]));
			await archive.whole(m);
			assert.deepEqual(archive.judge('told').map((p) =>
			    [p.offset, Number(p.data)]), sub.heard.map((p) =>
			    [p.offset, p.data]));
		} finally {
			sdkLeave();
			await m.end();
			archive.remove();
		}
	}, {limit: 90000});

	test(`paging back ${MANY} rows`, () => storing(async (d, archive) => {
		const begin = performance.now();
		const {done} = await noise(d, 'told', {n: MANY});
		assert.equal(done.length, MANY);
		const ms = performance.now() - begin;
		await archive.whole(d);
		console.log(`     ${MANY} rows in ${ms.toFixed(0)} ms, stored ` +
		    `${(performance.now() - begin - ms).toFixed(0)} ms later`);
		const a = sdk(d, '?user=alice');
		await a.ready(5000);
		const sub = await subscribed(a, 'told');
		/* a busy machine may not answer in time: a client asks again */
		const page = async (what, left = 5) => {
			try {
				return await sub.history(what);
			} catch (error) {
				assert.ok(error.temporary && left > 0,
				    JSON.stringify(error));
				return page(what, left - 1);
			}
		};
		/* forward, then back from the newest */
		for (const reverse of [false, true]) {
			let since, all = [], n = 0;
			for (;;) {
				const {publications: got, epoch} = await page(
				    {limit: 1000, reverse, since});
				if (got.length === 0)
					break;
				assert.ok(got.length <= 1000);
				all = all.concat(got.map((p) => p.data.k));
				since = {offset: got.at(-1).offset, epoch};
				n++;
			}
			const want = Array.from({length: MANY}, (_, k) => k);
			assert.deepEqual(all, reverse ? want.reverse() : want);
			assert.ok(n < 30, `${n} pages`);
		}
		/* more than is given at once */
		const {publications} = await page({limit: 5000});
		assert.equal(publications.length, 1000);
		const c = await Client.user(d.port, 'carol');
		const lines = await history(c, 'told', 100);
		assert.equal(lines.length, 100);
	}, {conf: 'journal 1M\nqueue 2M\n'}), {limit: 90000});

	test('recovery beyond the ring, up to 1,000', () => storing(
	    async (d, archive) => {
		const l = await Line.connected(d, '?user=alice');
		const {subscribe: {epoch}} = await l.ask('subscribe',
		    {channel: 'told'});
		await l.ask('unsubscribe', {channel: 'told'});
		await noise(d, 'told', {n: 3000, bytes: 500});
		await archive.whole(d);
		for (const [missed, recovered] of [[10, true], [900, true],
		    [1500, false]]) {
			const c = await Line.connected(d, '?user=alice');
			const {subscribe: r} = await c.ask('subscribe', {
			    channel: 'told', recover: true,
			    offset: 3000 - missed, epoch});
			assert.equal(r.recovered ?? false, recovered,
			    `${missed} missed`);
			if (recovered)
				assert.deepEqual(r.publications.map((p) =>
				    p.offset), Array.from({length: missed},
				    (_, k) => 3001 - missed + k));
			assert.equal(r.offset, 3000);
			c.client.drop();
		}
	}, {conf: 'journal 1M\nqueue 4M\n'}), {limit: 60000});

	test('a page is at most half of what may wait', () => storing(
	    async (d, archive) => {
		await noise(d, 'told', {n: 800, bytes: 2000});
		await archive.whole(d);
		const l = await Line.connected(d, '?user=alice');
		const {history: {epoch}} = await l.ask('history',
		    {channel: 'told'});
		let offset = 0, n = 0;
		while (offset < 800) {
			l.say({id: 100 + n++, history: {channel: 'told',
			    limit: 1000, since: {offset, epoch}}});
			const text = await l.raw();
			assert.ok(text.length < 64 * 1024 + 4096,
			    `${text.length} bytes`);
			const {publications} = JSON.parse(text).history;
			assert.ok(publications.length > 5);
			assert.equal(publications[0].offset, offset + 1);
			offset = publications.at(-1).offset;
		}
		assert.ok(n > 20, `${n} pages`);
	}, {conf: 'journal 1M\nqueue 128K\n'}), {limit: 60000});

	test('sqlite3 reads beside it', () => storing(async (d, archive) => {
		await noise(d, 'told', {n: 100});
		await archive.whole(d);
		const columns = (table) => archive.rows(
		    `PRAGMA table_info(${table})`).map((c) => c.name);
		for (const [table, names] of Object.entries({
			channel: ['id', 'name', 'epoch', 'top', 'seen'],
			publication: ['id', 'channel', 'offset', 'before', 'time',
			    'sender', 'user', 'format', 'data', 'info', 'tags'],
			event: ['id', 'time', 'kind', 'channel', 'user', 'device',
			    'peer'],
			user: ['name', 'first_seen', 'last_seen', 'delivered'],
			hole: ['channel', 'after', 'before', 'time', 'why'],
			mark: ['journal', 'position', 'boot', 'clean']}))
			for (const name of names)
				assert.ok(columns(table).includes(name),
				    `${table}.${name}: ${columns(table)}`);
		assert.ok(archive.value('PRAGMA user_version') >= 1);
		assert.equal(archive.value('PRAGMA journal_mode'), 'wal');
		assert.equal(archive.value('PRAGMA page_size'), 4096);
		assert.equal(archive.value('PRAGMA auto_vacuum'), 2);
		const [row] = archive.rows('SELECT time, user, data FROM ' +
		    'publication ORDER BY id LIMIT 1');
		assert.equal(row.user, 'noise');
		assert.ok(Math.abs(row.time - Date.now()) < 60000);
		/* while it writes, and after */
		const made = noise(d, 'told', {n: 2000});
		made.catch(() => {});
		for (let k = 0; k < 20; k++) {
			archive.judge('told');
			await pause(5);
		}
		await made;
		await archive.whole(d);
		assert.equal(archive.judge('told').length, 2100);
		assert.throws(() => archive.value(`INSERT INTO publication (offset)
		    VALUES (1)`));
	}), {limit: 60000});

	test('chatctl store', () => storing(async (d, archive) => {
		await noise(d, 'told', {n: 500});
		await archive.whole(d);
		await until('they are counted', async () =>
		    (await state(d)).rows >= 500);
		const s = await state(d);
		assert.equal(s.state, 'ok');
		assert.ok(s.bytes > 0 && s.wal_bytes >= 0);
		assert.equal(s.holes, 0);
		assert.ok(s.commits > 0);
		const text = await d.ctl('store');
		assert.equal(text.status, 0);
		for (const word of ['rows', 'bytes', 'behind', 'commits', 'holes',
		    'state'])
			assert.match(text.stdout, new RegExp(word));
	}), {limit: 60000});

	test('events are stored', () => storing(async (d, archive) => {
		const a = await Client.user(d.port, 'alice', 'phone');
		a.text('/join tell');
		assert.match(await a.heard(), /tell/);
		await a.close();
		const kinds = () => archive.rows(`SELECT e.kind, e.user, e.device,
		    c.name AS channel, e.peer FROM event e LEFT JOIN channel c ON
		    c.id = e.channel ORDER BY e.id`);
		await until('they are there', () => kinds().some((e) =>
		    e.kind === 'offline'));
		const all = kinds();
		console.log(`     ${all.map((e) => e.kind).join(' ')}`);
		for (const kind of ['start', 'online', 'join', 'leave', 'offline'])
			assert.ok(all.some((e) => e.kind === kind), kind);
		const join = all.find((e) => e.kind === 'join' &&
		    e.channel === 'tell');
		assert.equal(join?.user, 'alice');
		await d.stop('SIGTERM', 15000);
		assert.equal(kinds().at(-1).kind, 'stop');
	}, {conf: rules('tell', '\tstore yes\n\tjoin-leave yes\n')}),
	{limit: 60000});

	test('a program without SQLite does not link it', () => {
		const {CHATD} = require('./daemon.js');
		const dir = path.dirname(CHATD);
		const linked = (file) => execFileSync('ldd',
		    [path.join(dir, file)], {encoding: 'utf8',
			stdio: ['ignore', 'pipe', 'ignore']}).includes('sqlite');
		assert.equal(linked('chatd'), false);
		assert.equal(linked('chatctl'), false);
		assert.equal(linked('libexec/chatd/chatd-store'), true);
	});

	test('without a store nothing is stored, which is said', async () => {
		const d = await Daemon.start({conf: CHANNELS.replace(
		    /\tstore \w+\n/g, '')});
		await d.logged(/stor/);
		assert.deepEqual((await d.json('show', 'processes')).filter((p) =>
		    /store/.test(p.kind)), []);
		await d.stop();
	});
});
