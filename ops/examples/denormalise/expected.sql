-- expected: sales
select l.order_id, l.position,
  (select placed_on from orders where id = l.order_id),
  (select c.name from customers c, orders o where o.id = l.order_id and c.id = o.customer_id),
  (select coalesce(c.country, '??') from customers c, orders o where o.id = l.order_id and c.id = o.customer_id),
  (select name from products where id = l.product_id),
  l.quantity,
  round(l.quantity * (select price from products where id = l.product_id)
    * (1 - coalesce((select k.percent from coupons k, orders o where o.id = l.order_id and k.code = o.coupon), 0) * 0.01), 2),
  (select k.percent from coupons k, orders o where o.id = l.order_id and k.code = o.coupon)
from order_lines l;
