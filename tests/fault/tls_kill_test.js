/*
 * Clients over TLS (node's, by npm ws) and over TCP talk while all workers are
 * killed at once, one hangs, keepers are killed, workers are restarted,
 * connections move, handshakers die and the program is upgraded: nobody is
 * closed, no record is one that its client cannot open, and all hear everything
 * once and in one order. LONG=1 kills more often.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const tls = require('node:tls');
const {LONG} = require('./builds.js');
const {group} = require('../system/suite.js');
const {pause, until} = require('../system/daemon.js');
const {certificate, tlsDaemon, tlsStop} = require('../system/tls.js');
const {Person} = require('./crowd.js');
const {gather, hang, killAll} = require('./stations.js');
const WebSocket = require('ws');

const ROUNDS = LONG ? 300 : 4; /* kills of all workers */
const PAIR = 2;       /* speakers of each kind */
const SILENT = 4;     /* and clients who only listen */
const SAID = 10;      /* lines that each speaker hears of its own in a round */
const SLOW_ROUNDS = 3;

/* A client of the plain door, over TLS: each in another version and suite. */
class TlsPerson extends Person {
	options() {
		const n = Number(this.device.slice(1)), old = n % 3 === 2;
		return {...super.options(), rejectUnauthorized: false,
		    minVersion: old ? 'TLSv1.2' : 'TLSv1.3',
		    maxVersion: old ? 'TLSv1.2' : 'TLSv1.3',
		    ciphers: old ? 'ECDHE-ECDSA-AES128-GCM-SHA256' :
			['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256',
			    'TLS_AES_128_GCM_SHA256'][n % 5 % 3]};
	}

	open() {
		const url = `wss://127.0.0.1:${this.crowd.d.tlsPort}/ws?user=` +
		    `${this.user}&device=${this.device}`;
		return this.hold(new WebSocket(url, this.options()));
	}
}

/* All talk while something happens; then all is judged. */
async function round(crowd, speakers, what) {
	crowd.cut();
	crowd.talk(speakers);
	await until('lines', () => speakers.every((p) => p.echoed >= SAID), 20000);
	await what();
	const told = speakers.map((p) => p.echoed);
	await until('lines after it', () => speakers.every((p, i) =>
	    p.echoed >= told[i] + SAID), 20000).catch((error) => {
		throw new Error(`${error.message}: ${crowd.broken?.error} ` +
		    speakers.map((p, i) => `${p.user} ${p.echoed - told[i]}`));
	});
	await crowd.judgeAll();
}

/* Kills all processes of a kind. */
async function killKind(d, kind) {
	const all = (await d.json('show', 'processes')).filter((p) =>
	    p.kind === kind && p.pid);
	assert.ok(all.length > 0, kind);
	for (const p of all)
		process.kill(p.pid, 'SIGKILL');
	await until(`others of ${kind}`, async () =>
	    (await d.json('show', 'processes')).filter((p) => p.kind === kind &&
		p.pid && (p.state ?? 'running') === 'running' &&
		!all.some((o) => o.pid === p.pid)).length >= all.length);
}

/* Another certificate lies in the files. */
function renew(d) {
	const next = certificate(d.pemDir, 'next');

	fs.renameSync(next.key, d.pem[0].key);
	fs.renameSync(next.cert, d.pem[0].cert);
}

/* A client that has shaken hands; ask() wants an answer by HTTP. */
async function shaken(d) {
	const s = tls.connect({port: d.tlsPort, host: '127.0.0.1',
	    rejectUnauthorized: false});
	let answer = '';
	s.on('data', (bytes) => {
		answer += bytes;
	});
	s.on('error', (error) => {
		answer = `${error}`;
	});
	await new Promise((resolve) => s.on('secureConnect', resolve));
	return {async ask() {
		s.write('GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n');
		await until('an answer', () => answer.includes('\r\n\r\n'));
		assert.match(answer, /^HTTP\/1.1 /);
		s.destroy();
	}};
}

/* Runs a test with a daemon. */
function served(options, body) {
	return async () => {
		const d = await tlsDaemon({workers: 3, ...options});
		try {
			await body(d);
		} catch (error) {
			await tlsStop(d, () => d.kill());
			error.message += `\n${d.stderr.slice(-3000)}`;
			throw error;
		}
		await tlsStop(d);
	};
}

group('tls', null, (test) => {
	test(`goes on over ${ROUNDS} deaths of all workers, and all else`,
	    served({conf: 'watchdog 500ms\n'}, async (d) => {
		const {crowd, speakers} = await gather(d, [Person, TlsPerson],
		    PAIR, SILENT);
		for (let i = 0; i < ROUNDS; i++)
			await round(crowd, speakers, () => killAll(d));
		await round(crowd, speakers, () => hang(d, 1));
		await round(crowd, speakers, () => killKind(d, 'handshaker'));
		for (const order of [['restart-worker', '0'], ['upgrade'],
		    ['rebalance'], ['restart-worker', '2'], ['rebalance'],
		    ['reload'], ['upgrade']])
			await round(crowd, speakers, async () => {
				const r = await d.ctl(...order);
				assert.deepEqual([r.status, r.stderr], [0, ''],
				    order.join(' '));
			});
		console.log(`     ${crowd.judged} lines, each heard by ` +
		    `${crowd.people.size} clients`);
		await crowd.leave();
	}), {limit: LONG ? 1200000 : 120000});

	test('who reads slowly gets every record, whichever worker died in it',
	    served({conf: 'queue 8M\nmessage-size 64K\n', workers: 2},
		async (d) => {
			const {crowd, speakers} = await gather(d, [TlsPerson], 1,
			    0);
			const slow = new TlsPerson(crowd, 'slow');
			crowd.people.add(slow);
			assert.ok(await slow.open(), slow.error);
			const long = 'x'.repeat(60000);
			for (let i = 0; i < SLOW_ROUNDS; i++) {
				slow.ws.pause();
				const from = slow.heard.length;
				for (let k = 0; k < 60; k++)
					speakers[0].say(`${i} ${k} ${long}`);
				await until('said', () => speakers[0].heard.at(-1)
				    ?.startsWith(`${speakers[0].user} says: ` +
					`${i} 59 `), 20000);
				await killAll(d);
				slow.ws.resume();
				await until('heard', () => slow.heard.length >=
				    from + 60, 20000);
				assert.deepEqual(slow.heard.slice(from).map((s) =>
				    s.slice(0, -long.length)),
				Array.from({length: 60}, (_, k) =>
				    `${speakers[0].user} says: ${i} ${k} `));
			}
			assert.equal(crowd.broken, undefined);
			await crowd.leave();
		}), {limit: 120000});

	test('who has shaken hands is served although its worker dies in a reload',
	    served({conf: 'watchdog 60s\ntls-handshakers 1\n', workers: 1},
		async (d) => {
			const worker = (await d.json('show', 'processes'))
			    .find((p) => p.kind === 'worker');
			const first = await shaken(d); /* there is room */
			await first.ask();
			process.kill(worker.pid, 'SIGSTOP');
			const one = await shaken(d);
			renew(d);
			const r = await d.ctl('reload');
			assert.equal(r.status, 0, r.stdout + r.stderr);
			process.kill(worker.pid, 'SIGKILL');
			await one.ask();
		}), {limit: 30000});

	test('a certificate is renewed by a reload, and nobody notices',
	    served({conf: '', workers: 2}, async (d) => {
		const {crowd, speakers} = await gather(d, [TlsPerson], PAIR, 0);
		/* which certificate who comes now is shown */
		const number = () => new Promise((resolve, reject) => {
			const s = tls.connect({port: d.tlsPort,
			    host: '127.0.0.1', rejectUnauthorized: false});
			s.on('error', reject);
			s.on('secureConnect', () => {
				resolve(s.getPeerCertificate().serialNumber);
				s.destroy();
			});
		});
		const first = await number();
		await round(crowd, speakers, async () => {
			renew(d);
			const r = await d.ctl('reload');
			assert.equal(r.status, 0, r.stdout + r.stderr);
			await until('the new one is shown', async () =>
			    await number() !== first, 10000);
		});
		/* a bad one: the old ones stay */
		const second = await number();
		await round(crowd, speakers, async () => {
			fs.writeFileSync(d.pem[0].key, 'no key');
			const r = await d.ctl('reload');
			assert.match(r.stdout + r.stderr + d.stderr,
			    new RegExp(d.pem[0].key));
			await pause(500); /* for one that would be dropped */
			assert.equal(await number(), second);
		});
		assert.equal(crowd.broken, undefined);
		await crowd.leave();
	}));
});
