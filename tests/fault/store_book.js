/*
 * store_book: the database of a store (chatd-store(5)) as what a test's writers
 * compare with: a Book as of ledger.js. Channels whose names begin with "told"
 * are stored, with "kept" refused when the store is too far behind, with "acked"
 * answered when they are stored, with "strict" delivered then.
 *
 *	await storing(async (d, book) => {      // a daemon with a store
 *		const choir = await Choir.open(d, 6);
 *		...
 *		await choir.judge(book);
 *	});
 */
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {processDescriptors, until} = require('../system/daemon.js');
const {reading} = require('./ledger.js');
const {follows, row} = require('./kill_points.js');

const WAIT_MS = 20000;
const MESSAGES = '(1, 2)'; /* formats, hub/journal.h */

class StoreBook {
	constructor({conf = ''} = {}) {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'store-'));
		fs.chmodSync(this.dir, 0o777); /* children have another user */
		this.path = path.join(this.dir, 'chat.db');
		this.env = {};
		this.conf = `store ${this.path}\n${conf}`;
		for (const [pattern, store] of [['told', 'yes'], ['kept', 'yes'],
		    ['acked', 'ack'], ['strict', 'strict']])
			this.conf += `channel "${pattern}*" {
	subscribe all
	publish all
	history 100000
	recovery yes
	presence yes
	store ${store}
}
`;
	}

	calm() {
	}

	/* Rows of a statement. */
	query(sql) {
		if (!fs.existsSync(this.path))
			return [];
		const text = execFileSync('sqlite3', ['-json', '-cmd',
		    '.timeout 5000', this.path, sql], {maxBuffer: 1 << 30});
		return text.length > 0 ? JSON.parse(text) : [];
	}

	lines() {
		return this.query('SELECT * FROM mark').map((r) =>
		    Object.values(r));
	}

	messages(channel) {
		return this.query('SELECT p.id, c.name AS channel, p.offset, ' +
		    'p.before, p.format, p.user, p.data FROM publication p ' +
		    'JOIN channel c ON c.id = p.channel WHERE p.format IN ' +
		    `${MESSAGES} ORDER BY p.id`)
		    .filter((m) => channel === undefined ||
		    m.channel === channel);
	}

	/* All that has been published is stored. */
	async whole(d) {
		const {position} = await d.json('show', 'stats');
		await until(`the store has all up to ${position}`, async () =>
		    (await row(d, 'store')).cursor >= position, WAIT_MS);
	}

	/* In that channel each message names the one before it. */
	judge(channel) {
		let last = 0;
		for (const m of this.query('SELECT p.offset, p.before FROM ' +
		    'publication p JOIN channel c ON c.id = p.channel WHERE ' +
		    `c.name = '${channel}' ORDER BY p.offset`)) {
			assert.equal(m.before, last, `${channel}: ${m.offset}`);
			last = m.offset;
		}
		assert.deepEqual(this.query('SELECT h.* FROM hole h JOIN ' +
		    `channel c ON c.id = h.channel WHERE c.name = '${channel}'`),
		    []);
	}

	remove() {
		fs.rmSync(this.dir, {recursive: true});
	}
}

/* A daemon with a store, for a test: as reading() of ledger.js. */
function storing(body, {book = new StoreBook(), conf = '', ...options} = {}) {
	return reading(async (d) => {
		await follows(d, 'store-read');
		d.descriptors = processDescriptors(d.pid); /* with its link */
		await body(d, book);
	}, {book, conf: book.conf + conf, reader: 'store',
		...options});
}

module.exports = {StoreBook, storing};
