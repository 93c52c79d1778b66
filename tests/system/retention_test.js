/* Each channel keeps as much in the database as its rule says. */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const {group} = require('./suite.js');
const {until} = require('./daemon.js');
const {Line} = require('./centrifugo.js');
const {noise, rules, state, storing} = require('../fault/archive.js');

const ROUND_MS = 5000; /* from one look to the next */
const rule = (name, ...more) =>
    `channel "${name}" {\n\tsubscribe all\n\tpublish all\n` +
    `\tstore yes\n\t${more.join('\n\t')}\n}\n`;

/* Waits until a channel has so many messages. */
function left(archive, channel, n) {
	return until(`${channel} has ${n}`, () => archive.count(channel) === n,
	    4 * ROUND_MS);
}

group('retention', null, (test) => {
	test('of channels', () => storing(async (d, archive) => {
		await noise(d, 'few', {n: 1300});
		await noise(d, 'short', {n: 40});
		await noise(d, 'all', {n: 40});
		await archive.whole(d);
		const {stored} = await state(d);
		await left(archive, 'few', 5);
		await left(archive, 'short', 0);
		assert.equal(archive.count('all'), 40);
		assert.deepEqual(archive.messages('few').map((m) => m.offset),
		    [1296, 1297, 1298, 1299, 1300]);
		archive.judge('few');
		await until('it is counted', async () => {
			const {pruned, rows} = await state(d);
			return pruned === 1335 && rows === 45;
		});
		assert.equal(stored, 1380);
		/* what clients are told goes on */
		await noise(d, 'few', {n: 2});
		const l = await Line.connected(d, '?user=alice');
		await l.ask('subscribe', {channel: 'few'});
		const {history} = await l.ask('history',
		    {channel: 'few', limit: 100});
		assert.deepEqual(history.publications.map((p) => p.offset),
		    [1298, 1299, 1300, 1301, 1302]);
	}, {channels: rule('few', 'history 5') +
	    rule('short', 'history 1000', 'history-age 1s') +
	    rule('all', 'history 1000')}), {limit: 60000});

	test('a channel without rows begins anew', () => storing(
	    async (d, archive) => {
		const l = await Line.connected(d, '?user=alice');
		const ask = (what, more) => l.ask(what, {channel: 'short', ...more});
		const say = () => ask('publish', {data: 1});
		await ask('subscribe');
		await say();
		const {epoch} = (await ask('history')).history;
		await noise(d, 'all', {n: 1});
		await archive.whole(d);
		await left(archive, 'short', 0);
		execFileSync('sqlite3', ['-cmd', '.timeout 5000', archive.file,
		    'UPDATE channel SET seen = 1']);
		await until('its row is gone', () => !archive.channel('short'),
		    4 * ROUND_MS);
		assert.ok(archive.channel('all'));
		/* who is there notices nothing */
		await say();
		await archive.whole(d);
		assert.equal(archive.channel('short').top, 2);
		assert.equal(archive.value(`SELECT count(*) FROM publication
		    WHERE channel NOT IN (SELECT id FROM channel)`), 0);
		const {history} = await ask('history');
		assert.deepEqual([history.offset, history.epoch], [2, epoch]);
	}, {channels: rule('short', 'history 1000', 'history-age 1s') +
	    rule('all', 'history 1000')}), {limit: 60000});
});
