-- expected: statements
select b.id, b.account, b.booked_on, b.amount,
  (select sum(o.amount) from bookings o where o.account = b.account and (o.booked_on, o.id) <= (b.booked_on, b.id)),
  (select case when sum(abs(o.amount)) > 0 then round(100 * abs(b.amount) / sum(abs(o.amount)), 2) end
    from bookings o where o.account = b.account)
from bookings b;

-- expected: monthly_totals
select account, month, count(*), sum(greatest(amount, 0.00)), sum(greatest(-amount, 0.00)),
  array(select distinct kind from bookings o
    where o.account = b.account and o.booked_on >= b.month and o.booked_on < b.month + interval '1 month' and kind is not null
    order by kind)
from (select *, booked_on - (extract(day from booked_on)::integer - 1) as month from bookings) b
group by account, month;
