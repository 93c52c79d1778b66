/*
 * tls: certificates made for a test, a daemon that listens with them, and
 * clients of it.
 *
 *	const d = await tlsDaemon({conf: '...'});	// d.port, d.tlsPort, d.pem
 *	const ws = wss(d, '?user=alice');		// npm ws
 */
'use strict';

const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const WebSocket = require('ws');
const {Daemon, freePort, processDescriptors, until} = require('./daemon.js');

const DAYS = 30;

/* Makes a certificate for names, in a folder: {cert, key}. */
function certificate(dir, name, {names = ['localhost'], rsa = false,
	days = DAYS, env = process.env} = {}) {
	const cert = path.join(dir, `${name}.pem`);
	const key = path.join(dir, `${name}-key.pem`);
	const kind = rsa ? ['rsa:2048'] :
	    ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
	execFileSync('openssl', ['req', '-x509', '-newkey', ...kind, '-nodes',
	    '-keyout', key, '-out', cert, '-days', String(days), '-subj',
	    `/CN=${names[0]}`, '-addext', 'subjectAltName=' +
	    [...names.map((n) => `DNS:${n}`), 'IP:127.0.0.1'].join()],
	{stdio: 'ignore', env});
	return {cert, key};
}

/* The lines of a configuration for a pair. */
function pairLine({cert, key}) {
	return `certificate "${cert}" key "${key}"\n`;
}

/* A daemon with an address over TCP and one over TLS; options of
 * Daemon.start(), and pairs (default: one). */
async function tlsDaemon(options = {}) {
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-tls-'));
	const [port, tlsPort] = [await freePort(), await freePort()];
	const pem = (options.pairs ?? ((d) => [certificate(d, 'one')]))(dir);
	const d = await Daemon.start({...options, listen: false, port,
	    conf: `listen 127.0.0.1:${port}\nlisten 127.0.0.1:${tlsPort} tls\n` +
	    `insecure yes\n${pem.map(pairLine).join('')}${options.conf ?? ''}`});
	/* they are started behind the others */
	await until('handshakers', async () => {
		const all = (await d.ask('show', 'processes')).filter((p) =>
		    p.kind === 'handshaker');
		return all.length > 0 && all.every((p) => p.state === 'running');
	});
	d.descriptors = processDescriptors(d.pid);
	return Object.assign(d, {tlsPort, pem, pemDir: dir});
}

/* Stops it; its folder goes. */
async function tlsStop(d, stop = () => d.stop()) {
	try {
		await stop();
	} finally {
		fs.rmSync(d.pemDir, {recursive: true, force: true});
	}
}

/* A WebSocket over TLS. */
function wss(d, query, options = {}) {
	return new WebSocket(`wss://127.0.0.1:${d.tlsPort}/ws${query}`,
	    {perMessageDeflate: false, ca: fs.readFileSync(d.pem[0].cert),
		...options});
}

module.exports = {certificate, pairLine, tlsDaemon, tlsStop, wss};
