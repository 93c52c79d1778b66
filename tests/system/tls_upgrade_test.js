/*
 * The live upgrade under clients over TLS of both versions and all suites, with
 * some that read slowly, so that a record of each is half out: nobody is closed.
 * With LONG=1 to a program whose records and plans have other sizes, too, and
 * that lays memory out in another way (OTHER, build/other-layout/chatd): what was
 * sealed by one is sealed by the other again, with the same bytes. A program that
 * has what is known of connections in another place is refused.
 */
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const {group} = require('./suite.js');
const {CHATD, ROOT, pause, until} = require('./daemon.js');
const {tlsDaemon, tlsStop, wss} = require('./tls.js');

const OTHER = path.resolve(process.env.OTHER ??
    path.join(ROOT, 'build/other-layout/chatd'));
const LONG = process.env.LONG === '1';
const BIG = 180000;  /* bytes of a message for who reads slowly */
const SLOW = [0, 2, 3]; /* the suites of those */
const SUITES = [
    ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384',
	'TLS_CHACHA20_POLY1305_SHA256'].map((ciphers) => ({ciphers,
	minVersion: 'TLSv1.3'})),
    ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map(
	(s) => ({ciphers: `ECDHE-ECDSA-${s}`, maxVersion: 'TLSv1.2'}))];
const CONF = 'message-size 1M\nqueue 64M\noutput-memory 256M\nping-interval 1h\n';

/* A client in that suite who notes what it hears, by hash, and its end. */
async function client(d, query, suite) {
	const ws = wss(d, query, SUITES[suite]);
	const c = {ws, heard: [], end: null};
	ws.on('message', (data) => c.heard.push(data.length > 1000 ?
	    crypto.createHash('sha256').update(data).digest('hex') :
	    data.toString()));
	ws.on('error', (error) => c.end = error.message);
	ws.on('close', (code) => c.end ??= code);
	await new Promise((resolve, reject) => {
		ws.on('open', resolve);
		ws.on('close', () => reject(new Error(`no client: ${c.end}`)));
	});
	return c;
}

/* Clients of all suites: one of each talks and hears, one reads slowly. */
async function come(d, name) {
	const all = SUITES.map((s, k) => k);
	return {
		fast: await Promise.all(all.map((k) =>
		    client(d, `?user=${name}${k}`, k))),
		slow: await Promise.all(SLOW.map((k) =>
		    client(d, `?user=slow${name}${k}`, k)))
	};
}

/* Each fast client says a number, over and over, until told to stop: resolves to
 * how many each has said. */
async function talk(fast, state) {
	const said = fast.map(() => 0);
	while (!state.over) {
		fast.forEach((c, k) => c.ws.send(`n ${++said[k]}`));
		await pause(10);
	}
	return said;
}

/*
 * Upgrades to each of those programs while all talk. Before each of them slow
 * clients stop reading, and more is said to them than the kernel takes; they read
 * on behind it.
 */
async function upgrades(d, files) {
	const groups = [await come(d, 'a')];
	const large = Array.from({length: 20}, (_, k) => crypto.randomBytes(
	    BIG / 2).toString('hex') + k);
	for (const [n, file] of files.entries()) {
		const fast = groups.flatMap((g) => g.fast);
		const slow = groups.flatMap((g) => g.slow);
		const state = {over: false};
		for (const c of [...fast, ...slow])
			c.heard.length = 0;
		slow.forEach((c) => c.ws.pause());
		/* whispered, so that they alone get it */
		const names = groups.flatMap((g, i) =>
		    SLOW.map((k) => `slow${'abcdef'[i]}${k}`));
		for (const name of names)
			for (const text of large)
				fast[0].ws.send(`/msg ${name} ${text}`);
		const talks = talk(fast, state);
		await until('all talk', () => fast.every((c) =>
		    c.heard.length >= 10), 20000);
		const r = await d.ctl('upgrade', file);
		assert.deepEqual([r.status, r.stderr], [0, ''],
		    d.stderr.slice(-3000));
		slow.forEach((c) => c.ws.resume());
		await pause(100); /* of talk behind it */
		state.over = true;
		const said = await talks;
		const total = said.reduce((a, b) => a + b);
		await until('all is heard', () => [...fast, ...slow].every((c) =>
		    c.end !== null || c.heard.filter((l) => / says: n /.test(l))
			.length >= total), 20000);
		for (const c of [...fast, ...slow])
			assert.equal(c.end, null, `upgrade ${n}: ${c.end}`);
		const order = fast[0].heard.filter((l) => / says: n /.test(l));
		for (const c of [...fast, ...slow])
			assert.deepEqual(c.heard.filter((l) =>
			    / says: n /.test(l)), order);
		const want = large.map((text) => crypto.createHash('sha256')
		    .update(`a0 whispers: ${text}`)
		    .digest('hex'));
		for (const c of slow)
			assert.deepEqual(c.heard.filter((l) =>
			    /^[0-9a-f]{64}$/.test(l)), want);
		/* those who come now have records of this program's size */
		if (groups.length < 3)
			groups.push(await come(d, 'bcdef'[groups.length - 1]));
	}
	for (const c of groups.flatMap((g) => [...g.fast, ...g.slow]))
		c.ws.terminate();
}

/* Runs a test with a daemon. */
function served(body) {
	return async () => {
		const d = await tlsDaemon({workers: 3, conf: CONF});
		try {
			await body(d);
		} catch (error) {
			await tlsStop(d, () => d.kill());
			throw error;
		}
		await tlsStop(d);
	};
}

group('upgrade over TLS', null, (test) => {
	test('nobody is closed', served((d) =>
	    upgrades(d, [d.copy('one'), d.copy('two')])), {limit: 60000});
	if (LONG)
		test('nor by records and plans of other sizes', served((d) =>
		    upgrades(d, [OTHER, CHATD, OTHER, CHATD])), {limit: 120000});
	test('refused where the state lies elsewhere', served(async (d) => {
		const {fast, slow} = await come(d, 'a');
		const state = {over: false}, talks = talk(fast, state);
		const file = d.copy('elsewhere'), bytes = fs.readFileSync(file);
		const at = bytes.indexOf('%d at 0, %d at %d');
		assert.ok(at > 0, 'its places');
		bytes[at + '%d at '.length] = 0x34; /* 4 */
		fs.writeFileSync(file, bytes);
		const before = await d.ask('show', 'workers');
		const r = await d.ctl('upgrade', file);
		assert.equal(r.status, 1, JSON.stringify(r));
		assert.match(r.stderr, /in another way .* at 4,.* at 0,/);
		const after = await d.ask('show', 'workers');
		assert.deepEqual(after.map((w) => w.pid),
		    before.map((w) => w.pid));
		state.over = true;
		const total = (await talks).reduce((a, b) => a + b);
		await until('all is heard', () => [...fast, ...slow].every((c) =>
		    c.heard.length >= total));
		for (const c of [...fast, ...slow])
			assert.equal(c.end, null);
		const {ws} = await client(d, '?user=late', 0);
		ws.terminate();
		for (const c of [...fast, ...slow])
			c.ws.terminate();
	}));
});
