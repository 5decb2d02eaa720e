-- New keys are nobody's to foretell, so rows are told by what people know them by: e-mail addresses, printed numbers.
-- expected: customers
select c.email, c.name, r.email from customers c left join customers r on r.id = c.referred_by;
-- actual: customers
select c.email, c.name, r.email from customers c left join customers r on r.id = c.referred_by;

-- expected: invoices
select concat(i.year, '/', i.number), c.email, o.year || '/' || o.number
from invoices i
join customers c on c.id = i.customer_id
left join invoices o on (o.year, o.number) = (i.corrects_year, i.corrects_number);
-- actual: invoices
select i.printed_number, c.email, o.printed_number
from invoices i join customers c on c.id = i.customer_id left join invoices o on o.id = i.corrects;

-- expected: invoice_lines
select concat(year, '/', number), position, article, amount from invoice_lines;
-- actual: invoice_lines
select i.printed_number, l.position, l.article, l.amount from invoice_lines l join invoices i on i.id = l.invoice_id;

-- The maps can be asked after the run.
-- expected: kept id maps
select 'customer', id::text, email from customers
union all
select 'invoice', year || ' ' || number, year || '/' || number from invoices;
-- actual: kept id maps
select 'customer', m.old_1::text, c.email from rowfleet.id_map_customer m join customers c on c.id = m.new_id
union all
select 'invoice', m.old_1 || ' ' || m.old_2, i.printed_number from rowfleet.id_map_invoice m join invoices i on i.id = m.new_id;
