/** The dialogs that change the cluster; each first explains its effect. */
import { html, nothing } from '../../vendor/lit-html.js';
import { cluster, tokens } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { impact, verdict } from './quorum.js';
import { showSecret } from '../../components/secret.js';
import { toastDone } from '../../components/ui.js';

const QUORUM_LOST = 'would_lose_quorum';
const leads = (node, data) => node.id === data.leaderId;
const failoverNote = (node, data) => (node.id === data.nodeId
  ? html`<p>${node.id} serves this page. The page continues at another node if possible.</p>` : nothing);
const handoverNote = (node, data) => (leads(node, data)
  ? html`<p>${node.id} is the leader. It first hands leadership over to another node;
    writes wait for a moment.</p>` : nothing);

/** The dialogs, by the name of the action. */
const DIALOGS = {
  promote: {
    label: 'Promote',
    title: (node) => `Promote ${node.id} to leader?`,
    text: (node, data) => html`<p>${data.leaderId ? `Leadership moves from ${data.leaderId} to ${node.id}.`
      : `${node.id} becomes the leader.`} Writes wait for a moment meanwhile.</p>`,
    done: (node) => `${node.id} was asked to become the leader.`,
  },
  resume: {
    label: 'Resume',
    text: (node) => html`<p>${node.id} serves clients again.</p>`,
    done: (node) => `${node.id} resumed.`,
  },
  pause: {
    label: 'Pause',
    text: (node, data) => html`<p>${node.id} refuses clients until you resume it.
      It keeps its data and still votes.</p>${handoverNote(node, data)}`,
    done: (node) => `${node.id} paused.`,
  },
  restart: {
    label: 'Restart',
    text: (node, data) => html`<p>The process of ${node.id} restarts.
      The node then catches up with the log by itself.</p>${handoverNote(node, data)}${failoverNote(node, data)}`,
    done: (node) => `${node.id} restarts.`,
  },
  stop: {
    label: 'Stop',
    danger: true,
    force: true,
    preview: true,
    text: (node, data) => html`<p>The process of ${node.id} ends.
      The node stays a member. It can only be started again on its own machine.</p>
      ${handoverNote(node, data)}${failoverNote(node, data)}`,
    done: (node) => `${node.id} stops.`,
  },
  remove: {
    label: 'Remove',
    danger: true,
    force: true,
    typed: true,
    preview: true,
    call: cluster.deregister,
    text: (node, data) => html`<p>${node.id} leaves the cluster permanently.
      Its data stays on its disk, but it is no longer part of the cluster.</p>${handoverNote(node, data)}`,
    done: (node) => `${node.id} leaves the cluster.`,
  },
};

/** Executes an action after confirmation. Resolves when the dialog is closed. */
export async function confirmAction(name, node, data) {
  const action = DIALOGS[name];
  const call = action.call ?? cluster[name];
  const done = await openDialog({
    title: action.title?.(node) ?? `${action.label} ${node.id}?`,
    submitLabel: action.label,
    danger: action.danger,
    typed: action.typed ? node.id : undefined,
    force: action.force && { code: QUORUM_LOST, label: `${action.label} by force`, typed: node.id },
    body: () => [action.text(node, data), action.preview ? preview(data, name, node) : nothing],
    submit: ({ force }) => call(force ? { node: node.id, force } : { node: node.id }),
  });
  if (done) toastDone(action.done(node));
}

/** Asks for the URL of a node and registers it. */
export async function addNode(data) {
  const done = await openDialog({
    title: 'Add a node',
    submitLabel: 'Add node',
    testid: 'add-dialog',
    body: () => html`
      <p>Start the new node first: it waits until it is added here. It joins as a learner,
        catches up with the log, and then becomes a voter.</p>
      <label>URL <input name="url" type="url" required autofocus placeholder="http://127.0.0.1:8084"
        pattern="https?://.+" title="http://host:port" data-testid="add-url"></label>
      <label>Description <span class="muted">optional</span>
        <input name="description" autocomplete="off" data-testid="add-description"></label>
      ${preview(data, 'add')}`,
    submit: ({ url, description }) =>
      cluster.register(description.trim() ? { url, description: description.trim() } : { url }),
  });
  if (done) toastDone('The node was added and is catching up.');
}

const HOUR_MS = 3_600_000;
const HOURS = [[1, 'an hour'], [24, 'a day'], [168, 'a week']];

/** Creates a join token and shows the command that starts a node with it. */
export async function createJoinToken(data) {
  const created = await openDialog({
    title: 'Create a join token',
    submitLabel: 'Create token',
    testid: 'join-token-dialog',
    body: () => html`
      <p>With it one new node can join the cluster. The node needs no cluster secret, and does not have to
        be added here.</p>
      <label>Valid for <select name="hours" data-testid="join-token-hours">${HOURS.map(([hours, text]) => html`
        <option value=${hours}>${text}</option>`)}</select></label>`,
    submit: ({ hours }) => tokens.createJoinToken({ expires_in_ms: Number(hours) * HOUR_MS }),
  });
  if (!created) return;
  const leader = data.nodes.find((node) => leads(node, data)) ?? data.nodes.find(({ id }) => id === data.nodeId);
  const command = `jettradb --distributed --peers ${leader.url} --join-token ${created.token} --port 8080 --data-dir data`;
  await showSecret('Join token', created.token, html`<p>Start the new node with it:</p>
    <pre tabindex="0" data-testid="join-token-command">${command}</pre>
    <p class="muted">On another machine, add <code>--host</code> and <code>--advertise-url</code> with the address
      of that machine.</p>`);
}

function preview(data, action, node) {
  const { before, after } = impact(data.nodes, action, node);
  const row = (name, key) => html`<tr><th scope="row">${name}</th>
    <td data-testid="preview-${key}-before">${before[key]}</td>
    <td data-testid="preview-${key}-after"
      class=${before[key] === after[key] ? '' : 'changed'}>${after[key]}</td></tr>`;
  const { tone, text } = verdict(after);
  return html`
    <table class="preview" data-testid="quorum-preview">
      <thead><tr><th></th><th scope="col">Now</th><th scope="col">After</th></tr></thead>
      <tbody>${row('Voters', 'voters')}${row('Live voters', 'live')}
        ${row('Quorum', 'quorum')}${row('Failures tolerated', 'tolerates')}</tbody>
    </table>
    <p class="verdict ${tone}" data-testid="preview-verdict">${text}</p>`;
}
