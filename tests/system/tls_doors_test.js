/*
 * Every door, the page and the API over TLS: what a client does over TCP it does
 * over TLS 1.3 and 1.2, and sees the same, however the bytes are cut and however
 * it ends.
 */
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');
const {Duplex} = require('node:stream');
const {group} = require('./suite.js');
const {run, until} = require('./daemon.js');
const {Client, OP, closePayload, frame, request} = require('./client.js');
const {tlsDaemon, tlsStop} = require('./tls.js');

const BIG = 1 << 20;   /* bytes of a message or body */
const SLOW = 12 << 20; /* bytes for who reads slowly: no socket takes them */
const CONF = `echo yes
message-size 2M
queue 64M
output-memory 256M
api-key k
channel "*" {
	subscribe all
	publish all
	history 100
}
`;

/* A socket of which each write goes out byte by byte, and whose FIN can be left
 * out. */
class Bytewise extends Duplex {
	constructor(socket, {fin = true, size = 1} = {}) {
		super({allowHalfOpen: true});
		Object.assign(this, {socket, fin, size});
		socket.setNoDelay(true);
		socket.on('data', (data) => this.push(data) || socket.pause());
		socket.on('end', () => this.push(null));
		socket.on('error', (error) => this.destroy(error));
		socket.on('close', () => this.destroy());
	}

	_read() {
		this.socket.resume();
	}

	_write(data, encoding, done) {
		const next = (at) => at >= data.length ? done() :
		    this.socket.write(data.subarray(at, at + this.size), () =>
			setImmediate(next, at + this.size));
		next(0);
	}

	_final(done) {
		if (this.fin)
			this.socket.end();
		done();
	}

	_destroy(error, done) {
		this.socket.destroy();
		done(error);
	}

	setNoDelay() {
		/* it is so */
	}
}

/* A client over a version of TLS, over a stream if one is given. */
function secure(d, version, socket) {
	return new Promise((resolve, reject) => {
		const s = tls.connect({port: d.tlsPort, host: '127.0.0.1',
		    ca: fs.readFileSync(d.pem[0].cert), allowHalfOpen: true,
		    minVersion: version, maxVersion: version,
		    ALPNProtocols: ['http/1.1'], socket});
		s.once('error', reject);
		s.once('secureConnect', () => {
			s.removeListener('error', reject);
			resolve(new Client(s));
		});
	});
}

/* A TCP connection to the address over TLS. */
function bare(d) {
	return net.connect({port: d.tlsPort, host: '127.0.0.1',
	    allowHalfOpen: true});
}

/* How clients come. */
const WAYS = {
	'TCP': (d) => Client.connect(d.port),
	'TLS 1.3': (d) => secure(d, 'TLSv1.3'),
	'TLS 1.2': (d) => secure(d, 'TLSv1.2')
};
const SECURE = Object.keys(WAYS).slice(1);

const get = (target, fields = '') =>
    `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`;
const post = (target, body, fields = '') =>
    `POST ${target} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: k\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\n${fields}\r\n${body}`;
const publish = (data) => JSON.stringify({channel: 'lobby', data});

/* All that a server says until its FIN. */
async function all(c) {
	await until('FIN', () => c.ended || c.error || c.gone, 20000);
	assert.equal(c.error, null);
	assert.ok(c.ended, 'FIN');
	const text = c.take(c.have).toString('latin1');
	c.socket.end();
	return text;
}

/* What is said over each way, with what differs between two requests left out:
 * it is the same. */
async function alike(d, what, talk) {
	let first;
	for (const [name, connect] of Object.entries(WAYS)) {
		const c = await connect(d);
		const heard = await talk(c, name).catch((error) => {
			error.message += ` (${what}, ${name})`;
			throw error;
		});
		c.drop();
		if (first === undefined)
			first = heard;
		assert.deepEqual(heard, first, `${what}, ${name}`);
	}
}

/* One command at the Centrifugo door; its reply. */
async function command(c, m) {
	await c.text(JSON.stringify(m));
	for (;;) {
		const reply = JSON.parse(await c.heard());
		if (reply.id === m.id)
			return reply;
	}
}

const CASES = {
	'page, its files, health, what there is not': async (d) => {
		for (const target of ['/', '/chatd.js', '/health', '/nothing',
		    '/api/publish', '/ws', '/../etc'])
			await alike(d, target, async (c) => {
				await c.write(get(target, 'Connection: close\r\n'));
				return all(c);
			});
		for (const bytes of ['nonsense\r\n\r\n', 'GET / HTTP/1.0\r\n\r\n',
		    `GET /${'x'.repeat(20000)} HTTP/1.1\r\n\r\n`])
			await alike(d, bytes.slice(0, 40), async (c) => {
				await c.write(bytes);
				return all(c);
			});
	},
	'plain door: large messages, pings, its end': (d) =>
	    alike(d, 'plain', async (c, name) => {
		await c.open('/ws?user=alice');
		const text = 'x'.repeat(BIG);
		c.text(text);
		assert.equal(await c.heard(), `alice says: ${text}`);
		await c.quiet();
		await c.close();
	}),
	'Centrifugo door: subscription, publication, history': (d) =>
	    alike(d, 'centrifugo', async (c, name) => {
		await c.open('/connection/websocket?user=carol');
		await command(c, {id: 1, connect: {}});
		const channel = `room ${name}`;
		await command(c, {id: 2, subscribe: {channel}});
		for (let id = 3; id < 13; id++)
			await command(c, {id, publish: {channel, data: id}});
		const {history} = await command(c, {id: 13, history: {channel,
		    limit: 100}});
		assert.equal(history.publications.length, 10);
		return history.publications.map((p) => p.data);
	}),
	'echo: text, bytes and fragments': (d) =>
	    alike(d, 'echo', async (c) => {
		await c.open('/echo');
		for (const n of [0, 1, 4095, 4096, 4097, 16384, 65536, BIG]) {
			const bytes = Buffer.alloc(n, 'abcdefg');
			c.send(OP.BINARY, bytes);
			await c.expect(OP.BINARY, bytes);
		}
		c.send(OP.TEXT, 'frag', {fin: false});
		c.send(OP.CONT, 'ment');
		await c.expect(OP.TEXT, 'fragment');
		await c.close();
	}),
	'API: large bodies, chunks, many requests at once': (d) =>
	    alike(d, 'api', async (c) => {
		const heads = [];
		c.write(post('/api/publish', publish('x'.repeat(BIG / 2))));
		heads.push((await c.answer()).status);
		const body = publish('y'.repeat(BIG / 2)), parts = [];
		for (let at = 0; at < body.length; at += 10000) {
			const part = body.slice(at, at + 10000);
			parts.push(`${part.length.toString(16)}\r\n${part}\r\n`);
		}
		c.write('POST /api/publish HTTP/1.1\r\nHost: localhost\r\n' +
		    'X-API-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n' +
		    parts.join('') + '0\r\n\r\n');
		heads.push((await c.answer()).status);
		c.write(post('/api/publish', publish('z')).repeat(50));
		for (let k = 0; k < 50; k++)
			heads.push((await c.answer()).status);
		assert.deepEqual(heads, Array(52).fill(200));
		c.write(post('/api/publish', publish('last')) + get('/health'));
		assert.equal((await c.answer()).status, 200);
		assert.equal((await c.answer()).body, 'ok\n');
		await c.eof();
	}),
	'API: long answers, one request after another': (d) =>
	    alike(d, 'history', async (c) => {
		for (let k = 0; k < 3; k++) {
			c.write(post('/api/history', '{"channel":"lobby",' +
			    '"limit":100}'));
			const a = await c.answer();
			assert.equal(a.status, 200);
			assert.ok(a.body.length > BIG, `${a.body.length} bytes`);
		}
	}),
	'who reads slowly gets all': (d) => alike(d, 'slow', async (c) => {
		await c.open('/echo');
		c.socket.pause();
		const bytes = Buffer.alloc(BIG, 'slow'), n = SLOW / BIG;
		for (let k = 0; k < n; k++)
			c.send(OP.BINARY, bytes);
		await new Promise((resolve) => setTimeout(resolve, 300));
		c.socket.resume();
		for (let k = 0; k < n; k++)
			await c.expect(OP.BINARY, bytes);
		await c.close();
	}),
	'byte by byte': async (d) => {
		await alike(d, 'records of a byte', async (c) => {
			await c.chop(request('/ws?user=dave'));
			await c.opened();
			await c.chop(frame(OP.TEXT, 'slowly'));
			assert.equal(await c.heard(), 'dave says: slowly');
			await c.close();
		});
		for (const way of SECURE) {
			const c = await secure(d, way.replace('TLS ', 'TLSv'),
			    new Bytewise(bare(d)));
			await c.open('/ws?user=erin');
			c.text('x'.repeat(2000));
			assert.equal(await c.heard(),
			    'erin says: ' + 'x'.repeat(2000));
			await c.close();
		}
	},
	'records are cut anywhere': async (d) => {
		for (const size of [5, 4097, 16401, 20000]) {
			const c = await secure(d, 'TLSv1.3',
			    new Bytewise(bare(d), {size}));
			await c.open('/echo');
			const bytes = Buffer.alloc(size < 100 ? 20000 : BIG, 'cut');
			c.send(OP.BINARY, bytes);
			await c.expect(OP.BINARY, bytes);
			await c.close();
		}
	},
	'half closed: the answer comes, then the end': async (d) => {
		const c = await Client.connect(d.port);
		for (let k = 0; k < 3; k++) {
			c.write(post('/api/publish', publish('x'.repeat(BIG / 2))));
			assert.equal((await c.answer()).status, 200);
		}
		c.drop();
		const ask = post('/api/history',
		    '{"channel":"lobby","limit":100}');
		await alike(d, 'half closed', async (c) => {
			await c.write(ask);
			c.socket.end();
			const text = await all(c);
			assert.ok(text.length > BIG, `${text.length} bytes`);
		});
		for (const way of SECURE) {
			const version = way.replace('TLS ', 'TLSv');
			/* close_notify alone */
			let c = await secure(d, version, new Bytewise(bare(d),
			    {fin: false, size: 1 << 16}));
			await c.write(ask);
			c.socket.end();
			assert.ok((await all(c)).length > BIG, way);
			/* FIN alone */
			const socket = bare(d);
			c = await secure(d, version, new Bytewise(socket,
			    {size: 1 << 16}));
			await c.write(ask);
			socket.end();
			assert.ok((await all(c)).length > BIG, way);
		}
	},
	'who ends without a word is not reset': async (d) => {
		await alike(d, 'nothing asked', async (c) => {
			c.socket.end();
			await c.eof();
		});
		await alike(d, 'open', async (c) => {
			await c.open('/ws?user=frank');
			c.socket.end();
			await c.eof();
		});
		await alike(d, 'closed', async (c) => {
			await c.open('/ws?user=grace');
			c.send(OP.CLOSE, closePayload(1000));
			c.socket.end();
			await c.expect(OP.CLOSE);
			await c.eof();
		});
	},
	'the end is told by close_notify': async (d) => {
		const end = (file, args, input) => run('sh', ['-c',
		    `printf "${input}" | ${file} ${args}`]);
		/* openssl tells of an end without one, gnutls-cli of a reset */
		for (const version of ['-tls1_3', '-tls1_2']) {
			const r = await end('openssl', 's_client -quiet -connect ' +
			    `127.0.0.1:${d.tlsPort} ${version}`,
			get('/health', 'Connection: close\r\n'));
			assert.equal(r.status, 0, r.stderr);
			assert.match(r.stdout, /200 OK/);
			assert.doesNotMatch(r.stderr, /eof/i);
		}
		for (const version of ['1.3', '1.2']) {
			const r = await end('gnutls-cli', `-p ${d.tlsPort} ` +
			    '--no-ca-verification --priority NORMAL:-VERS-ALL:' +
			    `+VERS-TLS${version} 127.0.0.1`, '');
			assert.equal(r.status, 0, r.stdout + r.stderr);
			assert.doesNotMatch(r.stdout + r.stderr, /abnormal/);
		}
	}
};

group('over TLS as over TCP', null, (test) => {
	let d;
	const names = Object.keys(CASES);
	for (const [name, body] of Object.entries(CASES))
		test(name, async () => {
			d ??= await tlsDaemon({workers: 2, conf: CONF});
			try {
				await body(d);
				Client.dropAll();
				await d.clean();
			} catch (error) {
				await tlsStop(d, () => d.kill());
				d = undefined;
				throw error;
			}
			if (name === names.at(-1))
				await tlsStop(d);
		});
});
