/*
 * How Firefox, as Debian has it, judges the ends that the server makes: with
 * code and reason, and clean. It is driven by WebDriver BiDi.
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const WebSocket = require('ws');
const {until} = require('./daemon.js');
const {group} = require('./suite.js');

const START = {limit: 90000}; /* its first start makes a profile */

/* A Firefox without a window, and its one tab. */
class Firefox {
	static async start() {
		const f = new Firefox();
		f.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-firefox-'));
		f.said = '';
		f.child = spawn('firefox-esr', ['--headless', '--no-remote',
		    '--profile', f.dir, '--remote-debugging-port', '0'],
		    {stdio: ['ignore', 'pipe', 'pipe'], detached: true,
			env: {...process.env, HOME: f.dir, MOZ_HEADLESS: '1'}});
		f.gone = new Promise((resolve) => f.child.on('close', resolve));
		for (const stream of [f.child.stdout, f.child.stderr])
			stream.on('data', (data) => f.said += data);
		f.child.on('error', (error) => f.said += error);
		const url = await until('WebDriver BiDi', () =>
		    /listening on (ws:\S+)/.exec(f.said)?.[1], 60000)
		    .catch((error) => {
			throw new Error(error.message + ': ' + f.said);
		    });
		f.socket = new WebSocket(url + '/session');
		f.waiting = new Map();
		f.socket.on('message', (text) => {
			const m = JSON.parse(text);
			f.waiting.get(m.id)?.(m);
		});
		await new Promise((resolve, reject) => {
			f.socket.on('open', resolve);
			f.socket.on('error', reject);
		});
		await f.ask('session.new', {capabilities: {}});
		const {contexts} = await f.ask('browsingContext.getTree', {});
		f.context = contexts[0].context;
		return f;
	}

	/* One command; its result. */
	async ask(method, params) {
		const id = this.id = (this.id ?? 0) + 1;
		const answer = await new Promise((resolve) => {
			this.waiting.set(id, resolve);
			this.socket.send(JSON.stringify({id, method, params}));
		});
		this.waiting.delete(id);
		assert.equal(answer.type, 'success', JSON.stringify(answer));
		return answer.result;
	}

	/* Opens a page. */
	open(url) {
		return this.ask('browsingContext.navigate',
		    {context: this.context, url, wait: 'complete'});
	}

	/* What a script comes to, which may be a promise of a string. */
	async run(expression) {
		const r = await this.ask('script.evaluate', {expression,
		    target: {context: this.context}, awaitPromise: true});
		assert.equal(r.type, 'success', JSON.stringify(r.exceptionDetails));
		return r.result.value;
	}

	/* Ends it, and all that it has started. */
	async stop() {
		this.socket?.terminate();
		try {
			process.kill(-this.child.pid, 'SIGKILL');
		} catch {} /* it never was */
		await this.gone;
		fs.rmSync(this.dir, {recursive: true, force: true,
		    maxRetries: 10});
	}
}

/* What a page sees of a WebSocket's end: `then` is run once it is open. */
const ends = (then, target, offer) => `new Promise((resolve) => {
	const ws = new WebSocket('ws://' + location.host + '${target}'
	    ${offer ? `, ${JSON.stringify(offer)}` : ''});
	ws.onopen = () => { ${then} };
	ws.onclose = ({code, reason, wasClean}) =>
	    resolve([code, reason, wasClean].join(' '));
})`;

group('Firefox', {workers: 2}, (test) => {
	test('calls the ends that we make clean', async (d) => {
		const f = await Firefox.start();
		try {
			await f.open(`http://127.0.0.1:${d.port}/health`);
			const seen = {};
			seen.binary = await f.run(ends('ws.send(new Uint8Array(1))',
			    '/ws?user=a'));
			seen.long = await f.run(ends(
			    'ws.send("x".repeat(70000))', '/ws?user=b'));
			seen.own = await f.run(ends('ws.close(3456, "bye")',
			    '/ws?user=c'));
			const kicked = f.run(ends('', '/ws?user=d'));
			await until('d', async () =>
			    (await d.ask('show', 'users')).length === 1);
			assert.equal((await d.ctl('kick', 'd')).status, 0);
			seen.kicked = await kicked;
			assert.deepEqual(seen, {
				binary: '1003 text only true',
				long: '1009 message too big true',
				own: '3456  true',
				kicked: '4001 kicked true'
			});
			/* characters that it leaves as they are, a subprotocol:
			 * who gets none of those that were offered sees 1006 */
			assert.equal(await f.run(ends('ws.close(3000)',
			    '/ws?user=[a]|{b}^c`é', ['x', 'chatd.plain'])),
			    '3000  true');
		} finally {
			await f.stop();
		}
	}, START);
});
