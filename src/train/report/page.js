for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const descending = head.getAttribute('aria-sort') === 'ascending' ||
        (head.classList.contains('number') && !head.hasAttribute('aria-sort'));
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      const compare = (a, b) => {
        const [x, y] = [a.cells[column], b.cells[column]];
        return x.dataset.value === undefined
          ? x.textContent.localeCompare(y.textContent)
          : (x.dataset.value === '-inf' ? -Infinity : +x.dataset.value) - (y.dataset.value === '-inf' ? -Infinity : +y.dataset.value) || 0;
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => descending ? compare(b, a) : compare(a, b)));
    });
  });
}
