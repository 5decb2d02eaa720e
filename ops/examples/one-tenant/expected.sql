-- expected: tenants
select id, name from tenants where name = 'Tenant 3';

-- expected: users
select distinct u.id, u.tenant_id, u.name
from users u
left join tickets opened on opened.opened_by = u.id
left join comments c on c.author_id = u.id
left join tickets commented on commented.id = c.ticket_id
where 3 in (u.tenant_id, opened.tenant_id, commented.tenant_id);

-- expected: tickets
select id, tenant_id, opened_by, subject from tickets where tenant_id = 3;

-- expected: comments
select c.id, c.ticket_id, c.author_id, c.body
from comments c join tickets t on t.id = c.ticket_id and t.tenant_id = 3;

-- expected: attachments
select a.comment_id, a.file_name, a.content
from attachments a join comments c on c.id = a.comment_id join tickets t on t.id = c.ticket_id and t.tenant_id = 3;

-- expected: labels
select id, name from labels;

-- expected: ticket_labels
select l.ticket_id, l.label_id from ticket_labels l join tickets t on t.id = l.ticket_id and t.tenant_id = 3;
