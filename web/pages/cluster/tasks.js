/** The table of indexes that are being built, or were lately: those of the databases that the user may read. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, tasks } from '../../api/calls.js';
import { count, duration, errorBox, openDialog, tableBox, toastDone } from '../../components/ui.js';

const POLL_MS = 1_000;
const COLUMNS = ['Task', 'Collection', 'Index', 'State', 'Progress', 'Time left'];

export class RunningTasks {
  list = null; // null until known
  error = null;
  #loader = new Loader();
  #timer;

  constructor(app) { this.app = app; }

  start() {
    clearInterval(this.#timer);
    if (!this.app.may('reader')) return; // others see none
    this.#timer = setInterval(() => document.hidden || this.load(), POLL_MS);
    this.load();
  }

  stop() { clearInterval(this.#timer); }

  load = async () => {
    const outcome = await this.#loader.run(tasks.list);
    if (!outcome) return;
    this.error = outcome.error;
    this.list = outcome.value ?? null; // an old list is not shown
    this.app.update();
  };

  async #cancel({ id, index, database, collection }) {
    const done = await openDialog({
      title: 'Cancel this task?',
      submitLabel: 'Cancel the task',
      danger: true,
      testid: 'task-cancel-dialog',
      body: () => html`<p>The index <code>${index}</code> of ${database}.${collection} is dropped.</p>`,
      submit: () => tasks.cancel(id),
    });
    if (!done) return;
    toastDone('The task was cancelled.');
    await this.load();
  }

  view() {
    if (this.error) {
      if (this.error.status === 0) return nothing; // the page already shows that the node does not answer
      return this.#section(errorBox(this.error, 'tasks-error'));
    }
    if (!this.list?.length) return nothing;
    return this.#section(tableBox('Tasks', html`<table class="docs" data-testid="tasks-table">
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}
        <th class="row-actions"><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${this.list.map((task) => this.#row(task))}</tbody></table>`));
  }

  #section(content) {
    return html`<section class="open-transactions" aria-labelledby="tasks-title">
      <div class="section-head"><h2 id="tasks-title">Tasks</h2></div>${content}</section>`;
  }

  #row(task) {
    const { id, database, collection, index, state, reason, left_ms: left } = task;
    return html`<tr data-testid="task-row" data-id=${id} data-state=${state}>
      <td><code>${id}</code></td><td>${database}.${collection}</td><td>${index}</td>
      <td data-testid="task-state">${state}${reason ? html` <span class="muted">${reason}</span>` : nothing}</td>
      <td class="num" data-testid="task-progress">${progress(task)}</td>
      <td class="num">${left === undefined ? '' : duration(left)}</td>
      <td class="row-actions">${task.cancellable && this.app.may('owner', database) ? html`
        <button type="button" class="small danger-text" data-testid="task-cancel" aria-label="Cancel ${id}"
          @click=${() => this.#cancel(task)}>Cancel</button>` : nothing}</td></tr>`;
  }
}

function progress({ done, total }) {
  if (total === undefined) return count(done);
  return html`<progress max=${total} value=${done}></progress> ${count(done)} of ${count(total)}`;
}
