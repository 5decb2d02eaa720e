-- expected: tickets
select t.id, t.subject, t.opened_on,
  to_jsonb(array(select jsonb_build_object('author', author, 'body', body) from comments where ticket_id = t.id order by number))
from tickets t;

-- expected: ticket_labels
select id, labels
from (select id, array(select label from ticket_labels where ticket_id = tickets.id group by label order by label) as labels from tickets) t
where labels <> '{}';
