/*
 * tls_peers: people of a crowd (crowd.js) whose TLS others wrote: openssl
 * s_client, gnutls-cli and Python's ssl, which are pipes to whom frames are
 * said by hand, python3-websockets, Centrifugo's SDK, and Chromium. Their
 * daemon has d.tlsPort and d.pem (../system/tls.js).
 */
'use strict';

const {spawn} = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const WebSocket = require('ws');
const {Centrifuge} = require('centrifuge');
const {Person} = require('./crowd.js');
const {OP, frame, request} = require('../system/client.js');
const {until} = require('../system/daemon.js');

const PYTHON = '/usr/bin/python3';
const PEER = path.join(__dirname, 'tls_peer.py');
const UPDATE_EVERY = 8; /* lines: openssl's key updates */
const PACE_MS = 80;     /* gnutls-cli writes what it hears byte by byte */

/* Has somebody say some lines at once, and then nothing for a while. */
function paced(person) {
	const talk = person.talk.bind(person);
	person.talk = () => {
		person.talking = true;
		person.timer ??= setTimeout(() => {
			person.timer = null;
			if (person.talking)
				talk();
		}, PACE_MS);
	};
}

/* One whose connection another program has. */
class ProgramPerson extends Person {
	/* Starts it: what it says goes to take(). */
	start(file, ...args) {
		const {crowd} = this;
		this.child = spawn(file, args.map(String),
		    {stdio: ['pipe', 'pipe', 'pipe']});
		this.said = '';
		this.ws = {terminate: () => this.child.kill('SIGKILL')};
		this.child.stdin.on('error', () => {});
		this.child.stderr.on('data', (text) => this.said += text);
		this.child.stdout.on('data', (data) => this.take(data));
		return new Promise((resolve) => {
			this.ready = () => resolve(true);
			this.child.on('error', (error) => this.said += error);
			this.child.on('close', (code, signal) => {
				this.error = this.said.slice(-500);
				this.closed ??= {code, signal, said: this.error};
				crowd.people.delete(this);
				crowd.lost?.(this);
				resolve(false);
			});
		});
	}

	query() {
		return `user=${this.user}&device=${this.device}`;
	}
}

/* Frames by hand, over a program that passes bytes on. */
class PipePerson extends ProgramPerson {
	open() {
		const opened = this.start(...this.command(this.crowd.d));
		this.have = Buffer.alloc(0);
		this.child.stdin.write(request(`/ws?${this.query()}`));
		return opened;
	}

	/* Bytes of the server. */
	take(data) {
		this.have = Buffer.concat([this.have, data]);
		if (!this.upgraded) {
			const end = this.have.indexOf('\r\n\r\n');
			if (end < 0)
				return;
			this.upgraded = /HTTP\/1\.1 101 /.test(
			    this.have.subarray(0, end).toString('latin1'));
			if (!this.upgraded)
				this.child.kill('SIGKILL');
			this.have = this.have.subarray(end + 4);
			this.ready();
		}
		while (this.frame())
			;
	}

	/* Takes one frame; false: it is not whole. */
	frame() {
		const h = this.have;
		let at = 2, n = h[1];
		if (n === 126 && h.length >= 4)
			[n, at] = [h.readUInt16BE(2), 4];
		if (h.length < 2 || n === 126 || h.length < at + n)
			return false;
		const text = h.subarray(at, at + n);
		this.have = h.subarray(at + n);
		if (h[0] === (0x80 | OP.TEXT))
			this.hear(text.toString());
		else
			this.closed = {frame: h[0], text: text.toString()};
		return true;
	}

	say(text) {
		this.child.stdin.write(frame(OP.TEXT, text));
	}
}

/* Commands to it are letters at the begin of what it reads at once: so nothing
 * else may be on its way. */
class OpensslPerson extends PipePerson {
	command(d) {
		return ['openssl', 's_client', '-brief', '-connect',
		    `127.0.0.1:${d.tlsPort}`, '-CAfile', d.pem[0].cert,
		    '-verify_return_error', ...this.more()];
	}

	more() {
		return ['-tls1_3'];
	}

	/* Tells the peer of new keys, and has it change its own, too. */
	async update() {
		const was = this.said.match(/KEYUPDATE/g)?.length ?? 0;
		const letter = was % 2 === 0 ? 'K' : 'k';
		this.updates = was + 1;
		this.child.stdin.write(`${letter}\n`);
		await until('openssl sends a KeyUpdate', () =>
		    (this.said.match(/KEYUPDATE/g)?.length ?? 0) > was, 20000);
	}

	talk() {
		this.talking = true;
		if (this.told > this.echoed || this.busy)
			return;
		if (this.told % UPDATE_EVERY === 0 && this.updates !== undefined) {
			this.busy = this.update().then(() => {
				this.busy = null;
				if (this.talking)
					super.talk();
			}, (error) => this.said += error);
			return;
		}
		super.talk();
	}

	whisper() {
		/* it would be one more line that is on its way */
	}
}

class OpensslUpdatingPerson extends OpensslPerson {
	updates = 0;
}

/* Small records, both ways. */
class OpensslSmallPerson extends OpensslPerson {
	more() {
		return ['-tls1_3', '-maxfraglen', '512'];
	}
}

class OpensslOldPerson extends OpensslPerson {
	more() {
		return ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384'];
	}
}

/* It reads lines, without zeros: so the mask is chosen. */
class GnutlsPerson extends PipePerson {
	pad = '^';

	command(d) {
		return ['gnutls-cli', '--logfile', '/dev/null', '--port', d.tlsPort,
		    '--x509cafile', d.pem[0].cert, '--sni-hostname', 'localhost',
		    '--verify-hostname', 'localhost', ...this.more(),
		    '127.0.0.1'];
	}

	more() {
		return ['--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.3'];
	}

	say(text) {
		const last = text.length - 1;
		for (;;) {
			const mask = crypto.randomBytes(4);
			mask[last & 3] = text.charCodeAt(last) ^ 0x0a;
			const f = frame(OP.TEXT, text, {mask});
			if (!f.includes(0) && f.indexOf(0x0a) === f.length - 1) {
				this.child.stdin.write(f);
				return;
			}
		}
	}

	whisper() {
		/* those have no pad */
	}
}

class GnutlsOldPerson extends GnutlsPerson {
	more() {
		return ['--priority', 'NORMAL:-VERS-ALL:+VERS-TLS1.2:' +
		    '-CIPHER-ALL:+CHACHA20-POLY1305'];
	}
}

/* Python's ssl, with its asyncio. */
class PythonPerson extends PipePerson {
	command(d) {
		return [PYTHON, PEER, 'pipe', d.tlsPort, d.pem[0].cert];
	}
}

/* Lines, over python3-websockets. */
class PythonWebsocketsPerson extends ProgramPerson {
	open() {
		const {d} = this.crowd;
		this.rest = '';
		return this.start(PYTHON, PEER, 'websockets', d.tlsPort,
		    d.pem[0].cert, `/ws?${this.query()}`);
	}

	take(data) {
		const lines = (this.rest + data).split('\n');
		this.rest = lines.pop();
		for (const line of lines)
			if (line === 'open')
				this.ready();
			else
				this.hear(line);
	}

	say(text) {
		this.child.stdin.write(text + '\n');
	}
}

/* Centrifugo's SDK, who says JSON strings. */
class SdkPerson extends Person {
	open() {
		const {crowd, user, device} = this;
		const ca = fs.readFileSync(crowd.d.pem[0].cert);
		class Trusting extends WebSocket {
			constructor(url, protocols) {
				super(url, protocols, {ca});
			}
		}
		const c = new Centrifuge(`wss://127.0.0.1:${crowd.d.tlsPort}` +
		    `/connection/websocket?user=${user}`, {websocket: Trusting});
		this.own = `${user} says: "${device} `;
		this.pad = '"';
		this.ws = {terminate: () => c.disconnect()};
		this.sub = c.newSubscription('lobby');
		this.sub.on('publication', ({data, info}) => this.hear(
		    `${info.user} says: ` + (data.text ?? JSON.stringify(data))));
		c.on('publication', ({data, info}) =>
		    this.hear(`${info.user} whispers: ${data.text}`));
		return new Promise((resolve) => {
			const over = (context) => {
				if (this.closed === null && !this.opened)
					return; /* the first 'connecting' */
				this.closed = context;
				crowd.people.delete(this);
				crowd.lost?.(this);
				resolve(false);
			};
			c.on('error', ({error}) => this.error = error.message);
			c.on('disconnected', over);
			c.on('connecting', over);
			this.sub.on('subscribed', () => {
				this.opened = true;
				resolve(true);
			});
			this.sub.subscribe();
			c.connect();
		});
	}

	say(text) {
		this.sub.publish(text.replace(/"$/, '')).catch((error) =>
		    this.error = error.message);
	}

	whisper() {
		/* another protocol's */
	}
}

/* A WebSocket of a page in Chromium: the test gives its class the page. */
class ChromiumPerson extends Person {
	async open() {
		const {crowd, constructor: {page}} = this;
		const name = `heard_${this.device}`;
		await page.exposeFunction(name, (what) => {
			if (Array.isArray(what)) {
				what.forEach((line) => this.hear(line));
				return;
			}
			this.closed = {code: what};
			crowd.people.delete(this);
			crowd.lost?.(this);
		});
		this.ws = {terminate: () => page.evaluate((n) =>
		    window[n].close(), this.device).catch(() => {})};
		return page.evaluate(([query, n, heard]) => new Promise((done) => {
			const ws = window[n] = new WebSocket(
			    `wss://${location.host}/ws?${query}`);
			const all = [];
			const tell = async () => { /* many at once: it is slow */
				while (all.length > 0)
					await window[heard](all.splice(0));
				ws.onmessage = first;
			};
			const first = ({data}) => {
				ws.onmessage = (m) => all.push(m.data);
				all.push(data);
				tell();
			};
			ws.onmessage = first;
			ws.onopen = () => done(true);
			ws.onclose = (e) => {
				window[heard](e.code);
				done(false);
			};
		}), [`user=${this.user}&device=${this.device}`, this.device, name]);
	}

	say(text) {
		this.constructor.page.evaluate(([n, t]) => window[n].send(t),
		    [this.device, text]).catch((error) =>
			this.error = error.message);
	}
}

module.exports = {ChromiumPerson, GnutlsOldPerson, GnutlsPerson,
    OpensslOldPerson, OpensslPerson, OpensslSmallPerson, OpensslUpdatingPerson,
    PythonPerson, PythonWebsocketsPerson, SdkPerson, paced};
