-- expected: categories
with recursive tree as (
  select id, name, null::text as parent_name, replace(name, '/', '\/') as path, 0 as depth from categories where parent_id is null
  union all
  select c.id, c.name, tree.name, tree.path || '/' || replace(c.name, '/', '\/'), tree.depth + 1
  from tree join categories c on c.parent_id = tree.id
)
select id, name, parent_name, path, depth from tree;

-- expected: category_closure
with recursive down as (
  select id as ancestor, id as descendant, 0 as distance from categories
  union all
  select down.ancestor, c.id, down.distance + 1 from down join categories c on c.parent_id = down.descendant
)
select ancestor, descendant, distance from down;
