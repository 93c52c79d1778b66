/*
 * Memory is copied, into other sizes, while a reader of the journal is behind:
 * what it has not taken goes over in the ring or set aside, so that its book has
 * at the end what was accepted, once; who waits for it is answered once.
 */
'use strict';

const path = require('node:path');
const {BUILD} = require('./builds.js');
const WITH = path.join(BUILD, 'kill/kinds/sbin/chatd');
const WITHOUT = path.join(BUILD, 'kill/chatd');
process.env.CHATD = WITH;
const assert = require('node:assert/strict');
const fs = require('node:fs');
const {group} = require('../system/suite.js');
const {Line} = require('../system/centrifugo.js');
const {CONF, Choir, reading, until} = require('./ledger.js');
const {follows, row} = require('./kill_points.js');

/* An upgrade to these sizes, or that program, which copies the memory. */
async function copied(d, sizes, program = WITH) {
	const copies = (d.stderr.match(/memory copied in/g) ?? []).length;
	fs.writeFileSync(d.conf, CONF + sizes);
	const r = await d.ctl('upgrade', program);
	assert.deepEqual([r.status, r.stderr], [0, ''], d.stderr.slice(-2000));
	await until('the copy is told', () =>
	    (d.stderr.match(/memory copied in/g) ?? []).length === copies + 1);
}

group('a copy under a reader', null, (test) => {
	/* with more of it than a small ring holds, and there and back */
	test('what it has not taken goes over', () => reading(
	    async (d, book) => {
		const choir = await Choir.open(d, 6,
		    {kinds: ['kept', 'told', 'plain']});
		const noise = await Line.connected(d, '?user=noise');
		choir.begin();
		book.mood('blocked');
		await until('some was said that it has not taken', () =>
		    choir.count() > 300, 20000);
		await copied(d, 'journal 1M\n');
		/* the small ring goes on: what the reader needs is set aside */
		const text = 'x'.repeat(4000);
		for (let k = 0; k < 400; k++)
			assert.ok((await noise.ask('publish',
			    {channel: 'plain-noise', data: text})).publish);
		await until('it is behind by more than its share', () =>
		    choir.all('refused').some((m) => m.channel === 'kept'),
		    20000);
		for (const sizes of ['journal 2M\n', 'journal 1M\nusers 5000\n'])
			await copied(d, sizes);
		for (const m of choir.all('refused'))
			assert.equal(m.channel, 'kept');
		book.calm();
		const before = choir.all('done').filter((m) =>
		    m.channel === 'kept').length;
		await until('it takes them again', () => choir.all('done')
		    .filter((m) => m.channel === 'kept').length > before + 20,
		    20000);
		await choir.end();
		assert.deepEqual(choir.all('unknown'), []);
		await choir.judge(book, {holes: true});
		choir.leave();
	}, {conf: 'journal 4M\n'}), {limit: 120000});

	test('who waits for it is answered once', () => reading(
	    async (d, book) => {
		const lines = [];
		for (let k = 0; k < 8; k++) {
			lines.push(await Line.connected(d, `?user=u${k}`));
			await lines[k].ask('subscribe', {channel: 'plain'});
		}
		const other = await Line.connected(d, '?user=other');
		assert.ok((await lines[0].ask('publish',
		    {channel: 'acked', data: 'first'})).publish);
		book.mood('mute');
		await book.seen();
		lines.forEach((l, k) => l.say({id: 100, publish:
		    {channel: 'acked', data: k}}, {id: 101, ping: {}}));
		await until('all are taken', () =>
		    book.messages('acked').length === 9);
		await copied(d, 'users 5000\n');
		/* they wait on, and hear others */
		assert.ok((await other.ask('publish',
		    {channel: 'plain', data: 'now'})).publish);
		for (const l of lines) {
			const r = await l.hear();
			assert.equal(r.push?.pub.data, 'now', JSON.stringify(r));
		}
		book.calm();
		for (const l of lines) {
			assert.deepEqual(await l.hear(), {id: 100, publish: {}});
			assert.deepEqual(await l.hear(), {id: 101, ping: {}});
			await l.client.quiet();
		}
		assert.deepEqual(book.messages('acked').map((m) => m.offset),
		    [1, 2, 3, 4, 5, 6, 7, 8, 9]);
	}), {limit: 60000});

	test('it comes with an upgrade, and goes', () => reading(
	    async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		const {subscribe} = await l.ask('subscribe', {channel: 'kept'});
		const publish = async (data) => assert.ok((await l.ask('publish',
		    {channel: 'kept', data})).publish);
		await publish(1);
		await publish(2);
		await copied(d, '', WITH);
		await follows(d, 'ledger');
		await until('the channel is known to be for it', async () => {
			await publish(3);
			return book.messages('kept').length > 0;
		});
		await book.whole(d);
		const told = book.messages('kept').map((m) => m.offset);
		await copied(d, '', WITHOUT);
		await publish(4);
		assert.equal(await row(d, 'ledger'), undefined);
		await copied(d, '', WITH);
		const {history} = await l.ask('history',
		    {channel: 'kept', limit: 100});
		assert.equal(history.epoch, subscribe.epoch);
		history.publications.forEach((p, k) =>
		    assert.equal(p.offset, k + 1));
		assert.deepEqual(told, told.map((_, k) => told[0] + k));
	}, {program: WITHOUT, read: false}), {limit: 60000});

	test('a channel that becomes its own goes on with its offsets', () =>
	    reading(async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		await l.ask('subscribe', {channel: 'strict'});
		for (let k = 1; k <= 5; k++) {
			assert.ok((await l.ask('publish',
			    {channel: 'strict', data: k})).publish);
			assert.equal((await l.push()).pub.offset, k);
		}
		await copied(d, '', WITH);
		await follows(d, 'ledger');
		await until('the channel is known to be for it', async () => {
			const r = await l.ask('publish',
			    {channel: 'strict', data: 0});
			assert.ok(r.publish, JSON.stringify(r));
			return book.messages('strict').length > 0;
		});
		for (let k = 1; k <= 5; k++) {
			const r = await l.ask('publish',
			    {channel: 'strict', data: k});
			assert.ok(r.publish, JSON.stringify(r));
		}
		await book.whole(d);
		const {history} = await l.ask('history',
		    {channel: 'strict', limit: 100});
		const told = book.messages('strict').map((m) => m.offset);
		assert.deepEqual(history.publications.map((p) => p.offset)
		    .slice(-told.length), told);
		assert.deepEqual(history.publications.map((p) => p.data)
		    .slice(-5), [1, 2, 3, 4, 5]);
	}, {program: WITHOUT, read: false}), {limit: 60000});

	test('an open channel stays open, one that is asked for is asked again',
	    () => reading(async (d, book) => {
		const l = await Line.connected(d, '?user=a');
		const other = await Line.connected(d, '?user=b');
		assert.ok((await l.ask('publish',
		    {channel: 'kept', data: 1})).publish);
		book.mood('shut');
		await book.seen();
		other.say({id: 100, subscribe: {channel: 'kept-cold'}});
		assert.ok((await l.ask('publish',
		    {channel: 'kept', data: 2})).publish);
		await copied(d, 'users 5000\n');
		assert.ok((await l.ask('publish',
		    {channel: 'kept', data: 3})).publish);
		book.calm();
		const r = await other.hear();
		assert.ok(r.id === 100 && r.subscribe, JSON.stringify(r));
		await book.whole(d);
		assert.deepEqual(book.messages('kept').map((m) => m.offset),
		    [1, 2, 3]);
	}), {limit: 60000});
});
