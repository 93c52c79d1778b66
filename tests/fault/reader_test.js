/*
 * A reader of the journal (tests/kinds/ledger.c) beside workers: who publishes
 * to its channels waits for it where that is asked for, and for nothing else;
 * it is slow, stopped, hung, upgraded, and comes back beside another journal;
 * what was accepted is in its book once, and no other channel notices.
 * LONG=1 takes longer.
 */
'use strict';

const path = require('node:path');
const {BUILD, LONG} = require('./builds.js');
process.env.CHATD = path.join(BUILD, 'kill/kinds/sbin/chatd');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {Client} = require('../system/client.js');
const {Line} = require('../system/centrifugo.js');
const {patience} = require('./crowd.js');
const {Book, Choir, JsonWriter, pause, reading, until} = require('./ledger.js');
const {follows, row} = require('./kill_points.js');

const LEAP = 1 << 20;      /* ledger.c */
const UNKNOWN = 'outcome unknown';
const QUICK_MS = 1500;     /* for a command that waits for nobody */
const STOPPED_MS = LONG ? 600000 : 4000;

/* All talk until so many more commands are done. */
async function talk(choir, n) {
	const begin = choir.count();
	await until(`${n} commands are done`, () => choir.writers.some((w) =>
	    w.closed) || choir.count() >= begin + n, 60000).catch((error) => {
		throw new Error(`${error.message}: ${choir.count() - begin}`);
	});
}

/* Publishes, by hand: the reply. */
function publish(line, channel, data) {
	return line.ask('publish', {channel, data});
}

/* Those who wait for it are refused for now, others notice nothing. */
function judgeBusy(choir) {
	for (const m of choir.all('refused'))
		assert.match(m.channel, /^(kept|acked|strict)/, m.data);
	for (const m of choir.all('unknown'))
		assert.match(m.channel, /^(acked|strict)/, m.data);
	/* at the plain door a command may wait behind one that came back */
	for (const w of choir.writers.filter((w) => w instanceof JsonWriter))
		for (const m of w.done)
			if (/^(plain|told|kept)/.test(m.channel))
				assert.ok(m.ms < QUICK_MS * patience(),
				    `${m.data} took ${m.ms} ms`);
}

/* Writers talk while that is done; then the book has what was answered, and
 * those who wait for nobody have not noticed. sure: each is told how it went;
 * holes: see Choir. */
function amid(act, {writers = 6, sure = false, holes = false} = {}) {
	return reading(async (d, book) => {
		const choir = await Choir.open(d, writers);
		choir.begin();
		await act(d, choir, book);
		await choir.end();
		if (sure)
			assert.deepEqual(choir.all('unknown'), []);
		judgeBusy(choir);
		await choir.judge(book, {holes});
		choir.leave();
		await d.clean();
	});
}

/* The channel goes on beside the next daemon's journal, from what is in the
 * book. */
async function goesOn(signal, leap) {
	const book = new Book();
	let epoch;
	await reading(async (d) => {
		const l = await Line.connected(d, '?user=a');
		const {subscribe} = await l.ask('subscribe', {channel: 'kept'});
		({epoch} = subscribe);
		assert.match(epoch, /^[0-9a-f]{8,16}$/);
		for (let k = 1; k <= 15; k++) {
			assert.ok((await publish(l, 'kept', k)).publish);
			const {pub} = await l.push();
			assert.equal(pub.offset, k);
		}
		await book.whole(d);
		if (signal === 'SIGKILL')
			await d.kill();
	}, {book, keep: true});
	await reading(async (d) => {
		const l = await Line.connected(d, '?user=a');
		const from = async (offset) => {
			const r = await (await Line.connected(d, '?user=a'))
			    .ask('subscribe', {channel: 'kept', recover: true,
				offset, epoch});
			assert.ok(r.subscribe, JSON.stringify(r));
			return r.subscribe;
		};
		const r = await from(12);
		assert.equal(r.epoch, epoch);
		assert.equal(r.offset, 15 + leap);
		assert.equal(r.recovered, true);
		assert.deepEqual(r.publications.map((p) => [p.offset, p.data]),
		    [[13, 13], [14, 14], [15, 15]]);
		assert.equal((await from(15)).recovered, true);
		assert.notEqual((await from(3)).recovered, true);
		/* as if that had been told, and was lost */
		assert.notEqual((await from(17)).recovered, true);
		await l.ask('subscribe', {channel: 'kept'});
		assert.ok((await publish(l, 'kept', 16)).publish);
		assert.equal((await l.push()).pub.offset, 16 + leap);
		const {history} = await l.ask('history',
		    {channel: 'kept', limit: 100});
		assert.deepEqual(history.publications.map((p) => p.data),
		    [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
		await book.whole(d);
		book.judge('kept');
	}, {book});
}

/* Fields of shared memory, as they are laid out: name -> [offset, size]. */
function layout() {
	const all = {};
	for (const [, name, at, size] of fs.readFileSync(path.join(__dirname,
	    '../unit/layout.golden'), 'utf8').matchAll(
	    /^(\S+) (\d+) size (\d+) /gm))
		all[name] = [Number(at), Number(size)];
	return all;
}

/* Writes nonsense into all words of the reader's, as a worker could. */
async function scribble(d) {
	const SCRIBBLES = LONG ? 20000 : 3000, LINES = 8192, LINE = 128;
	const master = `/proc/${d.pid}/fd`, at = layout();
	const file = fs.readdirSync(master).map((fd) => path.join(master, fd))
	    .find((f) => fs.readlinkSync(f) === '/memfd:chatd (deleted)');
	const fd = fs.openSync(file, 'r+');
	const {pid} = await row(d, 'ledger'), word = Buffer.alloc(8);
	let line = LINES + 64 * LINE;
	while (fs.readSync(fd, word, 0, 4, line), word.readUInt32LE(0) !== pid)
		line += LINE;
	const places = [];
	for (const [name, base] of [['shm_heads.reader', 0],
	    ['shm_heads.spill_begin', 0], ['shm_heads.spill_end', 0],
	    ['shm_heads.sleeps', 0], ['shm_line.cursor', line],
	    ['shm_line.settled', line], ['shm_line.hand', line]])
		for (let k = 0; k < at[name][1]; k += 8)
			places.push([base + at[name][0] + k,
			    Math.min(8, at[name][1])]);
	for (let n = 0; n < SCRIBBLES; n++) {
		const [from, size] = places[n % places.length];
		fs.readSync(fd, word, 0, size, from);
		/* near what is there, or anything */
		if (n % 3 === 0)
			crypto.randomFillSync(word);
		else
			word[0] += Math.floor(Math.random() * 256);
		fs.writeSync(fd, word, 0, size, from);
		if (n % 10 === 0)
			await pause(1);
	}
	fs.closeSync(fd);
}

group('reader', null, (test) => {
	test('what is published is in its book', () => reading(
	    async (d, book) => {
		const choir = await Choir.open(d, 6);
		choir.begin();
		await talk(choir, 500);
		await choir.end();
		assert.deepEqual(choir.all('refused'), []);
		assert.deepEqual(choir.all('unknown'), []);
		await choir.judge(book);
		assert.deepEqual(book.of('hole'), []);
		choir.leave();
		await d.clean();
	}));

	test('an acked publication is in the book when it is answered', () =>
	    reading(async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		await publish(l, 'acked', 'first');
		book.mood('slow');
		await book.seen();
		for (let k = 0; k < 20; k++) {
			const r = await publish(l, 'acked', k);
			assert.ok(r.publish, JSON.stringify(r));
			assert.equal(book.messages('acked').at(-1)?.data,
			    String(k));
		}
	}));

	test('nobody hears a strict one that the book does not have', () =>
	    reading(async (d, book) => {
		const to = await Client.user(d.port, 'b');
		to.text('/join strict');
		assert.equal(await to.heard(), '* joined strict');
		const l = await Line.connected(d, '?user=a');
		for (let k = 0; k < 20; k++) {
			const answer = publish(l, 'strict', k);
			assert.equal(await to.heard(), `[strict] a says: ${k}`);
			assert.equal(book.messages('strict').at(-1)?.data,
			    String(k));
			assert.ok((await answer).publish);
		}
		book.mood('wait');
		await book.seen();
		l.say({id: 100, publish: {channel: 'strict', data: 'late'}});
		await publish(await Line.connected(d, '?user=c'), 'plain', 1);
		await to.quiet();
		assert.notEqual(book.messages('strict').at(-1)?.data, '"late"');
		book.calm();
		assert.equal(await to.heard(), '[strict] a says: "late"');
		assert.deepEqual(await l.hear(), {id: 100, publish: {}});
		/* it is in the history, once, with the offset of the book */
		const {history} = await l.ask('history',
		    {channel: 'strict', limit: 1000});
		assert.deepEqual(history.publications.map((p) => p.offset),
		    book.messages('strict').map((m) => m.offset));
		assert.equal(history.publications.length, 21);
	}));

	test('who waits is not read, and hears the others', () => reading(
	    async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		await l.ask('subscribe', {channel: 'plain'});
		await publish(l, 'acked', 'first');
		book.mood('mute');
		await book.seen();
		l.say({id: 10, publish: {channel: 'acked', data: 1}},
		    {id: 11, publish: {channel: 'plain', data: 2}},
		    {id: 12, ping: {}});
		const other = await Line.connected(d, '?user=b');
		for (let k = 0; k < 5; k++) {
			assert.ok((await publish(other, 'plain', k)).publish);
			assert.equal((await l.push()).pub.data, k);
		}
		book.calm();
		assert.deepEqual(await l.hear(), {id: 10, publish: {}});
		const rest = [await l.hear(), await l.hear(), await l.hear()];
		assert.deepEqual(rest.filter((r) => r.id).map((r) => r.id),
		    [11, 12]);
		assert.equal(rest.find((r) => r.push).push.pub.data, 2);
		assert.deepEqual(book.messages('acked').map((m) => m.data),
		    ['"first"', '1']);
	}));

	test('one that is not answered in time', () => reading(
	    async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		const plain = await Client.user(d.port, 'b');
		plain.text('/join acked');
		assert.equal(await plain.heard(), '* joined acked');
		book.mood('mute');
		await book.seen();
		const begin = performance.now();
		plain.text('/to acked hello');
		const r = await publish(l, 'acked', 1);
		const ms = performance.now() - begin;
		assert.ok(ms > 3500 && ms < 6000 * patience(), `${ms} ms`);
		assert.equal(r.error?.temporary, undefined, JSON.stringify(r));
		assert.equal(r.error?.message, UNKNOWN);
		const heard = [await plain.heard(), await plain.heard(),
		    await plain.heard()].sort();
		assert.deepEqual(heard, ['* outcome unknown',
		    '[acked] a says: 1', '[acked] b says: hello']);
		book.calm();
		/* the late answers are nobody's any more */
		assert.ok((await publish(l, 'acked', 2)).publish);
		assert.equal(await plain.heard(), '[acked] a says: 2');
		await plain.quiet();
		assert.deepEqual(book.messages('acked').map((m) => m.offset),
		    [1, 2, 3]);
	}));

	test('errors of the reader are told', () => reading(
	    async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		const plain = await Client.user(d.port, 'b');
		for (const channel of ['acked', 'strict'])
			assert.ok((await publish(l, channel, 'first')).publish);
		book.mood('fail');
		await book.seen();
		const r = await publish(l, 'strict', 1);
		assert.equal(r.error?.code, 100, JSON.stringify(r));
		assert.equal(r.error.temporary, true);
		assert.equal((await publish(l, 'acked', 1)).error?.message,
		    UNKNOWN);
		plain.text('/to strict x');
		assert.equal(await plain.heard(), '* busy, try again');
		plain.text('/to acked x');
		assert.equal(await plain.heard(), '* outcome unknown');
		book.calm();
		await book.seen();
		assert.ok((await publish(l, 'strict', 2)).publish);
		assert.deepEqual(book.messages('strict').map((m) => m.data),
		    ['"first"', '2']);
		const {history} = await l.ask('history',
		    {channel: 'strict', limit: 10});
		assert.deepEqual(history.publications.map((p) => p.data),
		    ['first', 2]);
	}));

	test('cold channels wait for the reader, connecting does not', () =>
	    reading(async (d, book) => {
		book.mood('shut');
		await book.seen();
		const own = await Line.connected(d, '?user=kept-anna');
		const l = await Line.connected(d, '?user=a');
		const plain = await Client.user(d.port, 'b');
		const begin = performance.now();
		plain.text('/to kept hello');
		await l.refused('subscribe', {channel: 'kept'}, 100);
		const ms = performance.now() - begin;
		assert.ok(ms > 2500 && ms < 4500 * patience(), `${ms} ms`);
		assert.equal(await plain.heard(), '* busy, try again');
		for (const [name, request] of [['publish', {data: 1}],
		    ['history', {}]]) {
			const begin = performance.now();
			await l.refused(name, {channel: 'kept', ...request}, 100);
			const ms = performance.now() - begin;
			assert.ok(ms > 2500 && ms < 4500 * patience(),
			    `${name}: ${ms} ms`);
		}
		/* what is open is asked nothing */
		assert.ok((await publish(l, 'plain', 1)).publish);
		l.say({id: 100, subscribe: {channel: 'kept'}});
		book.calm();
		const r = await l.hear();
		assert.equal(r.id, 100);
		assert.ok(r.subscribe, JSON.stringify(r));
		assert.ok((await publish(l, 'kept', 2)).publish);
		await book.whole(d);
		assert.deepEqual(book.messages('kept').map((m) => m.offset), [1]);
		/* the own channel was opened behind */
		assert.ok((await l.ask('rpc', {method: 'message', data:
		    {to: 'kept-anna', data: 3}})).rpc);
		for (;;) {
			const {push} = await own.hear();
			if (push.pub) {
				assert.equal(push.pub.data, 3);
				assert.equal(push.pub.offset, 1);
				break;
			}
		}
	}), {limit: 40000});

	test('a channel goes on after an end in peace', () =>
	    goesOn('SIGTERM', 0));
	test('and leaps after another one', () => goesOn('SIGKILL', LEAP));

	test('events are told once each', () => reading(async (d, book) => {
		const a = await Line.connected(d, '?user=told-a');
		const b = await Client.user(d.port, 'told-a', 'phone');
		await a.ask('subscribe', {channel: 'told-room'});
		await b.close();
		await a.client.close();
		await until('all is in the book', () =>
		    book.events().some((e) => e.what === 'offline') &&
		    book.events().some((e) => e.what === 'vacated'));
		const events = book.events();
		const count = (what, channel) => events.filter((e) =>
		    e.what === what && e.channel === channel).length;
		assert.equal(count('online', '#told-a'), 1);
		assert.equal(count('offline', '#told-a'), 1);
		assert.equal(count('connect', '#told-a'), 2);
		assert.equal(count('disconnect', '#told-a'), 2);
		assert.equal(count('occupied', 'told-room'), 1);
		assert.equal(count('vacated', 'told-room'), 1);
		await d.clean();
	}));

	test('it is killed again and again', () => amid(async (d, choir) => {
		for (let k = 0; k < 15; k++) {
			await talk(choir, 50);
			const {pid} = await row(d, 'ledger');
			process.kill(pid, 'SIGKILL');
			await follows(d, 'ledger', pid);
		}
	}, {sure: true}), {limit: 90000});

	test('a reader that is slower than the ring', () => reading(
	    async (d, book) => {
		const choir = await Choir.open(d, 8);
		const noise = await Line.connected(d, '?user=noise');
		book.mood('slow');
		choir.begin();
		const text = 'x'.repeat(4000);
		for (let k = 0; k < 3000; k++)
			assert.ok((await publish(noise, 'plain-noise',
			    text)).publish);
		book.calm();
		await choir.end();
		assert.ok(book.of('hole').length > 0);
		judgeBusy(choir);
		await choir.judge(book, {holes: true});
		choir.leave();
	}, {conf: 'journal 1M\n'}), {limit: 90000});

	test('one that is stopped is replaced', () => amid(async (d, choir) => {
		await talk(choir, 100);
		const {pid} = await row(d, 'ledger');
		process.kill(pid, 'SIGSTOP');
		await follows(d, 'ledger', pid);
		await d.logged(/ledger hung for \d+ ms/);
		await talk(choir, 100);
	}, {holes: true}), {limit: 60000});

	test('so is one that does nothing', () => amid(async (d, choir, book) => {
		await talk(choir, 100);
		const {pid} = await row(d, 'ledger');
		book.mood('wait');
		await until('it is replaced', async () =>
		    (await row(d, 'ledger')).pid !== pid, 20000);
		book.calm();
		await follows(d, 'ledger', pid);
		await talk(choir, 100);
	}, {holes: true}), {limit: 60000});

	test(`one that cannot go on for ${STOPPED_MS / 1000} s`, () => reading(
	    async (d, book) => {
		const choir = await Choir.open(d, 8);
		choir.begin();
		await talk(choir, 100);
		const {pid} = await row(d, 'ledger');
		const noise = await Line.connected(d, '?user=noise');
		for (const channel of ['kept-noise', 'told-noise'])
			assert.ok((await publish(noise, channel, 0)).publish);
		book.mood('blocked');
		const end = performance.now() + STOPPED_MS;
		const text = 'x'.repeat(4000);
		let kept = 0, refused = 0;
		while (performance.now() < end || refused === 0) {
			/* what it does not miss is refused, all else is not */
			const {error} = await publish(noise, 'kept-noise', text);
			kept += !error;
			refused += error?.code === 100;
			for (const channel of ['plain-noise', 'told-noise'])
				assert.ok((await publish(noise, channel,
				    text)).publish);
			await pause(LONG ? 5 : 1);
		}
		assert.ok(kept > 10 && refused > 10, `${kept} ${refused}`);
		book.calm();
		await talk(choir, 200);
		await choir.end();
		judgeBusy(choir);
		const before = choir.all('done').filter((m) =>
		    /^plain/.test(m.channel)).length;
		console.log(`     ${choir.all('refused').length} refused, ` +
		    `${choir.all('unknown').length} unknown, ${before} in ` +
		    'the channel that it does not read');
		await choir.judge(book, {holes: true});
		assert.equal((await row(d, 'ledger')).pid, pid);
		choir.leave();
	}, {conf: 'journal 1M\n'}), {limit: STOPPED_MS + 120000});

	test('an upgrade replaces it', () => amid(async (d, choir) => {
		for (let k = 0; k < 3; k++) {
			await talk(choir, 50);
			const {pid} = await row(d, 'ledger');
			const r = await d.ctl('upgrade');
			assert.equal(r.status, 0, r.stderr);
			await until('all are replaced', async () =>
			    (await d.json('show', 'upgrade')).state === 'done',
			    20000);
			await follows(d, 'ledger', pid);
		}
		await talk(choir, 50);
	}), {limit: 90000});

	test('the memory is copied, and it goes on where it was', () => amid(
	    async (d, choir) => {
		await talk(choir, 50);
		const {pid} = await row(d, 'ledger');
		fs.appendFileSync(d.conf, 'users 5000\n');
		const r = await d.ctl('upgrade');
		assert.equal(r.status, 0, r.stderr);
		await d.logged(/memory copied in/, 10000);
		await follows(d, 'ledger', pid);
		await talk(choir, 50);
	}), {limit: 60000});

	test('workers are killed while commands wait', () => amid(
	    async (d, choir) => {
		for (let k = 0; k < 15; k++) {
			await talk(choir, 40);
			const w = (await d.json('show', 'workers'))[k % 2];
			if (w.pid)
				process.kill(w.pid, 'SIGKILL');
			if (k % 3 === 0)
				process.kill((await follows(d, 'ledger')).pid,
				    'SIGKILL');
		}
	}, {writers: 8, sure: true}), {limit: 90000});

	test('nonsense in its words', () => reading(async (d, book) => {
		const choir = await Choir.open(d, 6);
		const {pid} = await row(d, 'ledger');
		choir.begin();
		await talk(choir, 50);
		await scribble(d);
		await choir.end();
		/* what was said meanwhile may be missing; then all is well */
		assert.equal((await row(d, 'ledger')).pid, pid);
		const last = await Choir.open(d, 6, {suffix: '2'});
		last.begin();
		await talk(last, 100);
		await last.end();
		await last.judge(book);
	}), {limit: 90000});
});
