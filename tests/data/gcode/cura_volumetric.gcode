;FLAVOR:Marlin(Volumetric)
;TIME:314
;Filament used: 878.892mm3
;Layer height: 0.24
;MINZ:-0.05
;MAXZ:9.9
;Generated with Cura_SteamEngine 4.13.0
M104 S200
M109 S200
;LAYER_COUNT:41
;LAYER:0
G0 F3600 X90 Y90 Z0.3
;TYPE:SKIRT
G1 F1800 X110 Y90 E0.30
G1 X110 Y110 E0.60
;TIME_ELAPSED:9.5
;LAYER:1
G0 F3600 X90 Y90 Z9.9
;TYPE:SKIRT
G1 F1800 X110 Y90 E0.31
G1 X110 Y110 E0.61
;TIME_ELAPSED:19.0
M104 S0
M140 S0
G91 ;relative
G1 Z10 ;Raise Z more
G90
G1 X0 Y200
M84 X Y E
M82 ;absolute extrusion mode
M104 S0
;End of Gcode
;SETTING_3 {"global_quality": "[general]\\nversion = 4\\nname = Fast"}
