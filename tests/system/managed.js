/*
 * managed: a chatd under a service manager that keeps its descriptors (manager.py
 * plays systemd).
 *
 *	const m = await Managed.start('channel "room" { ... }');
 *	await m.kill();      // the master and all others are gone
 *	await m.again();     // the next one has the listeners and the memory
 *	await m.end();
 */
'use strict';

const assert = require('node:assert/strict');
const {spawn} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {CHATCTL, CHATD, ENV, checkReports, freePort, processChildren,
    processLives, run, until} = require('./daemon.js');

/* A chatd under a service manager; looks to tests like a Daemon. */
class Managed {
	static async start(conf, closed = '') {
		const m = new Managed();
		m.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'chatd-test-'));
		m.conf = path.join(m.dir, 'chatd.conf');
		m.socket = path.join(m.dir, 'control.sock');
		m.port = await freePort();
		m.write(conf);
		m.lines = [];
		m.bad = []; /* what the manager did not like */
		m.stderr = '';
		m.child = spawn('/usr/bin/python3', [
		    path.join(__dirname, 'manager.py'),
		    path.join(m.dir, 'notify.sock'), '/bin/sh', '-c',
		    `exec "$@" ${closed}`, 'sh', CHATD, '-d', '-w', '3',
		    '-s', m.socket, '-f', m.conf],
		    {stdio: ['pipe', 'pipe', 'pipe'], env: ENV});
		let text = '';
		m.child.stdout.on('data', (data) => {
			text += data;
			const lines = text.split('\n').slice(0, -1);
			m.lines.push(...lines);
			m.bad.push(...lines.filter((l) => /^bad/.test(l)));
			text = text.split('\n').at(-1);
		});
		m.child.stderr.on('data', (data) => m.stderr += data);
		m.exited = new Promise((resolve) => m.child.on('exit', resolve));
		await m.again();
		return m;
	}

	write(conf, ...addresses) {
		fs.writeFileSync(this.conf, conf + [`127.0.0.1:${this.port}`,
		    ...addresses].map((a) => `listen "${a}"\n`).join(''));
	}

	/* Starts the daemon, once more. */
	async again() {
		this.lines.length = 0;
		this.child.stdin.write('start\n');
		const line = await this.told(/^ready (\d+)/, 15000);
		this.pid = Number(line.split(' ')[1]);
	}

	told(pattern, ms = 5000) {
		return until(`${pattern} from the manager`, () =>
		    this.lines.find((line) => pattern.test(line)), ms)
		    .catch((error) => {
			throw new Error(`${error.message}\n${this.stderr}`);
		});
	}

	/* A line of the daemons' log. */
	logged(pattern) {
		return until(`${pattern} in the log`, () =>
		    pattern.test(this.stderr));
	}

	/* Ends the master; resolves when nobody is left. */
	async kill(signal = 'SIGKILL') {
		const family = processChildren(this.pid);
		process.kill(this.pid, signal);
		await this.told(/^dead/);
		await until('all have left', () => !family.some(processLives));
	}

	ctl(...args) {
		return run(CHATCTL, ['-s', this.socket, ...args]);
	}

	async json(...args) {
		return JSON.parse((await this.ctl('-j', ...args)).stdout);
	}

	async end() {
		this.child.stdin.end('quit\n');
		await this.exited;
		fs.rmSync(this.dir, {recursive: true, force: true});
		assert.deepEqual(this.bad, []);
		checkReports(this.stderr);
	}
}

module.exports = {Managed};
