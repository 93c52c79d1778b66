/*
 * The secrets of a connection over TLS lie in the file that workers alone map, as
 * long as it is there: however it ends, none of them is found there any more.
 */
'use strict';

const {choose} = require('./builds.js');
choose('release');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const {group} = require('../system/suite.js');
const {pause, until} = require('../system/daemon.js');
const {tlsDaemon, tlsStop} = require('../system/tls.js');
const {killAll} = require('./stations.js');
const WebSocket = require('ws');

const FILE = '/memfd:chatd-wire';
const LOOK = 1 << 20; /* bytes of the file: state of 2,000 connections */
const IDLE_MS = 300;

/* The file, which the master has open. */
function wire(d) {
	const at = `/proc/${d.pid}/fd`;
	const fd = fs.readdirSync(at).find((name) =>
	    fs.readlinkSync(`${at}/${name}`).startsWith(FILE));
	const file = fs.openSync(`${at}/${fd}`, 'r');
	const bytes = Buffer.alloc(LOOK);
	fs.readSync(file, bytes, 0, LOOK, 0);
	fs.closeSync(file);
	return bytes;
}

/* A client that knows its secrets. */
async function shake(d) {
	const secrets = [];
	const raw = net.connect(d.tlsPort, '127.0.0.1');
	const socket = tls.connect({socket: raw, rejectUnauthorized: false,
	    minVersion: 'TLSv1.3'});
	raw.on('error', () => {});
	socket.on('error', () => {});
	socket.on('keylog', (line) => {
		const m = /^\w+_TRAFFIC_SECRET_0 \w+ (\w+)/.exec(line);
		if (m)
			secrets.push(Buffer.from(m[1], 'hex'));
	});
	await new Promise((done) => socket.once('secureConnect', done));
	assert.equal(secrets.length, 2);
	return {d, raw, socket, secrets};
}

/* How many of its secrets are there. */
function found({d, secrets}) {
	const bytes = wire(d);
	return secrets.filter((s) => bytes.includes(s)).length;
}

/* One that is open. */
async function open(d) {
	const c = await shake(d);
	c.ws = new WebSocket(`wss://127.0.0.1:${d.tlsPort}/ws?user=alice`,
	    {perMessageDeflate: false, createConnection: () => c.socket});
	c.ws.on('error', () => {});
	await new Promise((done) => c.ws.once('open', done));
	return c;
}

/* How one comes, and how it ends. */
const ENDS = {
	'closes': [open, (c) => c.ws.close()],
	'is reset': [open, (c) => c.raw.resetAndDestroy()],
	'ends TLS': [open, (c) => c.socket.end()],
	'is kicked': [open, (c) => c.d.ctl('kick', 'alice')],
	'never asks': [shake, (c) => c.socket.destroy()],
	'asks for what there is not': [shake, (c) => c.socket.end(
	    'GET /nothing HTTP/1.1\r\nHost: localhost\r\n' +
	    'Connection: close\r\n\r\n')],
	'breaks the protocol': [open, (c) => c.socket.write('no frame at all')],
	'leaves while its worker is dead': [open, async (c) => {
		const gone = killAll(c.d);
		c.raw.resetAndDestroy();
		await gone;
	}],
	'has asked in part when its worker dies': [shake, async (c) => {
		c.socket.write('GET /ws HTTP/1.1\r\n');
		await pause(IDLE_MS); /* nothing tells that it is read */
		await killAll(c.d);
	}],
	'is closed by the next worker': [open, async (c) => {
		await killAll(c.d);
		assert.equal(found(c), 2);
		c.ws.close();
	}],
};

group('secrets of a client that', null, (test) => {
	let d;

	for (const [title, [come, end]] of Object.entries(ENDS))
		test(title, async () => {
			d ??= await tlsDaemon({workers: 1});
			const c = await come(d);
			await until('its secrets', () => found(c) === 2);
			await pause(IDLE_MS); /* they stay */
			assert.equal(found(c), 2);
			await end(c);
			await until('nothing is left', () => found(c) === 0);
			c.socket.destroy();
		});

	test('is there when the daemon stops', async () => {
		const c = await open(d);
		await tlsStop(d);
		c.socket.destroy();
	});
});
